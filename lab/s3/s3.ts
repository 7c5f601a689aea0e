import { join } from 'node:path';
import { awaitService, ensureService, removeContainer } from '../images/container.ts';
import { ensureImages } from '../images/images.ts';
import { ensureInternet, type Internet } from '../registry/network.ts';

/** The DNS name of a world's S3 on its hosts. */
export const S3_NAME = 's3.lab.internal';
const PORT = 9000;
const CONTROL_PORT = 9001;
const REGION = 'us-east-1';

/** What a role may do: JSON policies as IAM takes them. Without the boundary, the policies alone decide. */
export interface RolePolicies {
  readonly policies: readonly object[];
  readonly boundary: object | null;
}

/** Faults from now on; all but `down` concern requests whose `<method> <target>` matches `pattern` (Python's `re`). */
export interface S3Faults {
  /** Connections are refused, and open ones end. */
  readonly down?: boolean;
  readonly latencyMs?: number;
  readonly bytesPerSecond?: number | null;
  /** The share of requests that get `failStatus` (503 SlowDown, or 500): 0.25 is every fourth one. */
  readonly failShare?: number;
  readonly failStatus?: 500 | 503;
  readonly pattern?: string;
}

/** What a host needs to reach the services of its world. */
export interface HostServices {
  readonly name: string;
  readonly address: string;
  /** What to trust, as PEM. */
  readonly certificate: string;
}

/** S3 as a world's hosts see it. */
export interface S3 {
  /** `s3.lab.internal:9000`, the value of `backup.endpoint`. */
  readonly endpoint: string;
  readonly region: string;
  readonly services: HostServices;
  /** Replaces the roles of the account. Throws for a policy with an element that the lab does not implement. */
  setRoles(roles: Readonly<Record<string, RolePolicies>>): Promise<void>;
  /** Replaces all faults. */
  setFaults(faults: S3Faults): Promise<void>;
  /** How often each action was answered with each status so far, e.g. `{"s3:PutObject": {"200": 3}}`. */
  countRequests(): Promise<Record<string, Record<string, number>>>;
  createBucket(bucket: string): Promise<void>;
  /** The keys that begin with `prefix`, as the owner of the bucket sees them; at most 1,000. */
  listKeys(bucket: string, prefix?: string): Promise<string[]>;
  /** Turns over all bits of the object's second half, as its owner, and returns what it held before. */
  damage(bucket: string, key: string): Promise<Uint8Array>;
  /** Writes an object, as its owner. */
  putObject(bucket: string, key: string, body: Uint8Array): Promise<void>;
}

function nameS3(world: string): string {
  return `pgca-${world}-s3`;
}

/**
 * Starts a world's S3 at <prefix>.0.4:9000 of its internet, or finds it running. It keeps objects, certificate and roles
 * as long as its container exists.
 */
export async function startS3(
  options: Internet & { onProgress?: (line: string) => void },
): Promise<S3> {
  const { world, prefix = '10.99', onProgress = () => {} } = options;
  const { services } = await ensureImages({ only: ['services'], onProgress });
  const network = await ensureInternet({ world, prefix });
  const name = nameS3(world);
  const address = `${prefix}.0.4`;
  const credentials = join(import.meta.dirname, '../images/host-plain/files/usr/local/lib/lab');
  const front = `python3 /lab/s3/front.py ${world} ${REGION} /var/lib/lab-s3 ${S3_NAME} ${PORT} ${CONTROL_PORT} 127.0.0.1:5000`;
  const control = await ensureService({
    world,
    name,
    image: services,
    publish: CONTROL_PORT,
    flags: [
      ...['--network', network, '--ip', address, '--init'],
      ...[
        '--volume',
        `${import.meta.dirname}:/lab/s3:ro`,
        '--volume',
        `${credentials}:/lab/python:ro`,
      ],
      ...['--env', 'PYTHONPATH=/lab/python', '--env', 'PYTHONDONTWRITEBYTECODE=1'],
    ],
    command: ['sh', '-c', `moto_server --host 127.0.0.1 --port 5000 & exec ${front}`],
  });
  const url = `http://${control}`;
  const ask = async (path: string, method = 'GET', body?: object): Promise<string> => {
    const answer = await fetch(`${url}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${name}: ${method} ${path}: ${answer.status} ${text}`);
    return text;
  };
  const locate = (bucket: string, key: string) =>
    `${url}/s3/${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
  const exchange = async (target: string, body?: Uint8Array): Promise<Uint8Array> => {
    const answer = await fetch(target, body ? { method: 'PUT', body: Buffer.from(body) } : {});
    if (!answer.ok) throw new Error(`${name}: ${target}: ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  };
  await awaitService(name, `${url}/s3/`);
  return {
    endpoint: `${S3_NAME}:${PORT}`,
    region: REGION,
    services: { name: S3_NAME, address, certificate: await ask('/certificate') },
    async setRoles(roles) {
      await ask('/account', 'PUT', { roles });
    },
    async setFaults(faults) {
      await ask('/faults', 'PUT', faults);
    },
    countRequests: async () => JSON.parse(await ask('/requests')),
    async createBucket(bucket) {
      await ask(`/s3/${bucket}`, 'PUT');
    },
    async listKeys(bucket, prefix = '') {
      const query = new URLSearchParams({ 'list-type': '2', prefix });
      const listed = await ask(`/s3/${bucket}?${query}`);
      return [...listed.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => key);
    },
    async damage(bucket, key) {
      const sound = await exchange(locate(bucket, key));
      const half = sound.length / 2;
      await exchange(
        locate(bucket, key),
        sound.map((byte, index) => (index < half ? byte : byte ^ 0xff)),
      );
      return sound;
    },
    async putObject(bucket, key, body) {
      await exchange(locate(bucket, key), body);
    },
  };
}

/** Stops the S3 of a world, if it exists; deletes every object in it. */
export async function stopS3({ world }: { world: string }): Promise<void> {
  await removeContainer(nameS3(world));
}

/** The arguments of `docker create` for a host that reaches the services by name; Docker rewrites /etc/hosts at each start. */
export function listHostArguments(services: HostServices | undefined): string[] {
  return services === undefined ? [] : ['--add-host', `${services.name}:${services.address}`];
}
