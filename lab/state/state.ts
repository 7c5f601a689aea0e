import { awaitService, ensureService, removeContainer } from '../images/container.ts';
import { ensureImages } from '../images/images.ts';

/**
 * A running S3 server. `env` is for Terraform's process; `backendConfig` is what its `s3` backend needs
 * besides `key`, including the lock. Only `env` has the endpoint, so a moved server needs no new `init`.
 */
export type State = {
  endpoint: string;
  bucket: string;
  region: string;
  env: Record<string, string>;
  backendConfig: Record<string, string | boolean>;
};

const bucket = 'terraform-state';
const region = 'us-east-1';

function nameState(world: string): string {
  return `pgca-${world}-state`;
}

/**
 * Starts the S3 server of a world on the loopback interface (or finds it running) with one bucket.
 * It keeps the objects in memory: they live exactly as long as its container.
 */
export async function startState(options: {
  world: string;
  onProgress?: (line: string) => void;
}): Promise<State> {
  const { services } = await ensureImages({ ...options, only: ['services'] });
  const name = nameState(options.world);
  const local = await ensureService({
    world: options.world,
    name,
    image: services,
    publish: 5000,
    command: ['moto_server', '--host', '0.0.0.0', '--port', '5000'],
  });
  const endpoint = `http://${local}`;
  await awaitService(name, `${endpoint}/moto-api/`);
  // In this region it is not an error to create a bucket that the owner already has.
  const answer = await fetch(`${endpoint}/${bucket}`, { method: 'PUT' });
  if (!answer.ok) throw new Error(`bucket ${bucket}: ${answer.status} ${await answer.text()}`);
  const env = {
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_ACCESS_KEY_ID: 'lab',
    AWS_SECRET_ACCESS_KEY: 'lab',
  };
  const backendConfig = {
    bucket,
    region,
    use_lockfile: true,
    use_path_style: true,
    skip_credentials_validation: true,
    skip_requesting_account_id: true,
    skip_metadata_api_check: true,
  };
  return { endpoint, bucket, region, env, backendConfig };
}

/** Stops the S3 server of a world, if it exists; deletes every state in it. */
export async function stopState({ world }: { world: string }): Promise<void> {
  await removeContainer(nameState(world));
}
