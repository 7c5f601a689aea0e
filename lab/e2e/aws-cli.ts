import { execFile } from 'node:child_process';
import type { Endpoint } from '../aws/instance-connect/endpoint.ts';
import type { Aws } from '../aws/main.ts';
import { LAB_KEY } from '../aws/query/signature.ts';
import { ensureImages } from '../images/images.ts';
import { startProxy, type TunnelProxy } from '../tools/proxy.ts';

/** The image of the AWS CLI. */
export interface CliImage {
  readonly tag: string;
}

/** Builds the image if it is missing. Returns why it cannot be had, if so: it comes from Debian's archive. */
export async function findCliImage(): Promise<CliImage | string> {
  try {
    const images = await ensureImages({ only: ['aws-cli'], onProgress: console.log });
    return { tag: images['aws-cli'] };
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    return `no AWS CLI: ${String(cause).replaceAll(/\s+/g, ' ').slice(0, 200)}`;
  }
}

/** The exit code and the output of a command. */
interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The AWS CLI as a client of the lab's AWS, in containers on the lab's own network. It always connects to port 443 of
 * an endpoint's name (`websocket.py`), so it goes through a proxy that knows where the lab has it.
 */
export class AwsCli {
  readonly #proxy: TunnelProxy;
  readonly #endpoint: Endpoint;
  readonly #command: readonly string[];

  private constructor(proxy: TunnelProxy, endpoint: Endpoint, command: readonly string[]) {
    this.#proxy = proxy;
    this.#endpoint = endpoint;
    this.#command = command;
  }

  /** Starts the proxy to one endpoint. */
  static async start(
    { tag }: CliImage,
    { aws, endpoint }: { aws: Aws; endpoint: Endpoint },
  ): Promise<AwsCli> {
    const { address, certificateFile } = aws.tunnels;
    const port = Number(address.split(':')[1]);
    const proxy = await startProxy({ routes: { [`${endpoint.dnsName}:443`]: port } });
    const environment = {
      AWS_ACCESS_KEY_ID: LAB_KEY.id,
      AWS_SECRET_ACCESS_KEY: LAB_KEY.secret,
      AWS_DEFAULT_REGION: endpoint.region,
      AWS_ENDPOINT_URL_EC2: aws.endpoint,
      HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
      NO_PROXY: '127.0.0.1',
    };
    return new AwsCli(proxy, endpoint, [
      ...['run', '--rm', '--interactive', '--network=host'],
      `--volume=${certificateFile}:/etc/ssl/certs/ca-certificates.crt:ro`,
      ...Object.entries(environment).map(([name, value]) => `--env=${name}=${value}`),
      ...[tag, 'aws'],
    ]);
  }

  /** Runs a command of the CLI to its end, without input. */
  run(...args: readonly string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const child = execFile('docker', [...this.#command, ...args], (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      );
      child.stdin?.end();
    });
  }

  #listTunnel(address: string, port: number): string[] {
    const { id, dnsName } = this.#endpoint;
    return [
      ...['ec2-instance-connect', 'open-tunnel', '--instance-connect-endpoint-id', id],
      ...['--instance-connect-endpoint-dns-name', dnsName],
      ...['--private-ip-address', address, '--remote-port', `${port}`],
    ];
  }

  /** The command of a tunnel, for ssh's ProxyCommand. */
  writeTunnel(address: string, port = 22): string {
    return ['docker', ...this.#command, ...this.#listTunnel(address, port)].join(' ');
  }

  /** Opens a tunnel that is refused; returns what the CLI says about it. */
  async openTunnel(address: string, port = 22): Promise<string> {
    const { code, stderr } = await this.run(...this.#listTunnel(address, port));
    if (code === 0) throw new Error(`The tunnel to ${address}:${port} was opened.`);
    return stderr;
  }

  /** Stops the proxy. */
  stop(): Promise<void> {
    return this.#proxy.close();
  }
}
