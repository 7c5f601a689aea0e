import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_TUNNELS, type Tunnels } from '../ansible/route.ts';
import { AwsError } from '../aws/credentials.ts';
import type { Ec2Connection } from '../aws/ec2-query.ts';
import { createTunnelSigner } from '../aws/sign-tunnel.ts';
import { UserError } from '../messages/errors.ts';
import { TunnelBroker } from './broker.ts';
import { requireEndpoint } from './endpoint.ts';

/**
 * Opens a way to nodes through an EC2 Instance Connect Endpoint. Nothing is admitted yet.
 *
 * @throws UserError that says why the endpoint cannot be used and what to do
 */
export async function openTunnels(options: {
  endpointId: string;
  connection: Ec2Connection;
  /** The bundled program that ssh starts. */
  program: string;
  /** The job's private folder, at a safe path. */
  temporary: string;
  /** How long to wait for an endpoint that EC2 still creates. */
  waitSeconds: number;
  log: (line: string) => void;
}): Promise<Tunnels> {
  const { endpointId: id, connection, program, temporary, waitSeconds, log } = options;
  const endpoint = await requireEndpoint(id, { connection, waitSeconds, log });
  const { region, credentials } = connection;
  const signer = createTunnelSigner({ endpoint, region, credentials });
  const sign = async (address: string) => {
    try {
      return await signer(address);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      throw new UserError(
        `The action found no AWS credentials to open a tunnel through ${id}. Let the job get credentials that outlive it, and run it again.`,
        { cause: error },
      );
    }
  };
  const folder = await mkdtemp(join(temporary, 't-'));
  // A shell reads the command, so it has safe paths only.
  const [node, copy, path] = ['node', 'tunnel.mjs', 's'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await symlink(process.execPath, node);
  await copyFile(program, copy);
  const host = endpoint.dnsName;
  const broker = await TunnelBroker.start({
    path,
    endpoint: { id, host },
    sign,
    limit: MAX_TUNNELS,
  });
  return {
    proxyCommand: `${node} ${copy} ${path} %h %p`,
    admit: (addresses) => broker.admit(addresses),
    findCause: (address) => broker.findCause(address),
    findClosure: (address, since) => broker.findClosure(address, since),
    async close() {
      await broker.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
