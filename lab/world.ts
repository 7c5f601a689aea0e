import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { findTerraform } from '../src/terraform/install.ts';
import { type Aws, destroyAws, startAws } from './aws/main.ts';
import type { WorkflowEvent } from './github/event.ts';
import { type GitHub, startGitHub } from './github/github.ts';
import { nameHost } from './images/catalogue.ts';
import { runDocker } from './images/docker.ts';
import { ensureHost, ensureImages, removeImages } from './images/images.ts';
import {
  nameImage,
  type PostgresTag,
  type Registry,
  startRegistry,
  stopRegistry,
} from './registry/registry.ts';
import { type JobOptions, type JobResult, runJob } from './runner/job.ts';
import { type S3, startS3, stopS3 } from './s3/s3.ts';
import { type State, startState, stopState } from './state/state.ts';
import { findAnsiblePath } from './tools/ansible.ts';
import { reachAws } from './tools/wrap-program.ts';

const root = join(import.meta.dirname, '..');

/** The secrets of the repository's owner. */
export interface WorldSecrets {
  readonly 'postgres-password': string;
  readonly 'replication-password': string;
  readonly 'ssh-private-key': string;
}

/** Options of a world. */
export interface WorldOptions {
  /** The name of its containers and networks, and of its folder `lab/.out/<name>`. */
  readonly name: string;
  /** The tags of the image `postgres` that its registry serves; missing images are built first. */
  readonly tags: readonly PostgresTag[];
  /** Hosts start from the bare machine image, so that the action has to install Docker. */
  readonly plainHosts?: boolean;
  /** The runner has this machine's ansible-core, however old; otherwise one like those of GitHub's runners. */
  readonly ownAnsible?: boolean;
  /** The world has an S3 for backups, which its hosts know and trust. */
  readonly backups?: boolean;
  /** First two bytes of the network of public addresses; concurrent worlds need different ones. */
  readonly prefix?: string;
  /** The network of the templates' VPC, likewise; null leaves it at their default. */
  readonly vpcCidr?: string | null;
  /** How jobs reach the nodes by default. Through the endpoint, port 22 of the nodes is closed to the runner. */
  readonly sshVia?: SshVia;
  readonly onProgress?: (line: string) => void;
}

/** The values of `ssh-via`. */
export type SshVia = 'direct' | 'instance-connect-endpoint';

/** Leaves to the cluster file the inputs that `run` sets by default. */
export const FROM_FILE: Readonly<Record<string, string>> = {
  'cluster-file': 'clusters/orders.yml',
  'ssh-via': '',
  'ssh-cidrs': '',
  'client-cidrs': '',
  backend: '',
  'backend-config': '',
};

/** A cloud, a GitHub, a registry and a state store, and a runner to use them. */
export interface World {
  readonly name: string;
  readonly folder: string;
  readonly aws: Aws;
  readonly github: GitHub;
  readonly registry: Registry;
  readonly state: State;
  /** S3 as the hosts see it: only with the option `backups`. */
  readonly s3: S3 | null;
  readonly secrets: WorldSecrets;
  /** Token of a workflow with `pull-requests: write`. */
  readonly token: string;
  /** The address of the runner, which is this machine, as the nodes see it. */
  readonly runnerCidr: string;
  /** The environment of jobs besides GitHub's own, to reach this world's state store and EC2. */
  readonly env: Readonly<Record<string, string>>;
  /** The runner's PATH, whose Terraform works with this world's AWS. */
  readonly path: string;
  /** Runs the committed bundle on `event` as the repository's workflow would. */
  run(
    event: WorkflowEvent,
    inputs?: Readonly<Record<string, string>>,
    options?: Partial<JobOptions>,
  ): Promise<JobResult>;
  /** A cluster file of `lines` and what a job needs in this world: its networks and its backend. */
  describeCluster(lines: readonly string[]): string;
  /** Ends this process's part; containers, volumes and state stay for the next start. */
  stop(): Promise<void>;
}

/**
 * Starts a world, or joins one whose containers still run.
 *
 * @throws Error if a running world uses the same addresses
 */
export async function startWorld(options: WorldOptions): Promise<World> {
  const { name, tags, plainHosts = false, prefix = '10.99', onProgress = () => {} } = options;
  const { sshVia = 'direct' } = options;
  await refuseOtherWorlds(name, `${prefix}.0.0/16`);
  const folder = locateWorld(name);
  mkdirSync(folder, { recursive: true });

  // Requests all of them at once, so that two are built at a time. Few worlds need hosts of an older release.
  const host = nameHost('13', { plain: plainHosts });
  const [tools] = await Promise.all([
    findToolPath(folder, options),
    ensureImages({ only: [host, 'services', ...tags.map(nameImage)], onProgress }),
  ]);
  const [registry, state, s3] = await Promise.all([
    startRegistry({ world: name, prefix, tags, onProgress }),
    startState({ world: name, onProgress }),
    options.backups ? startS3({ world: name, prefix, onProgress }) : null,
  ]);
  const aws = await startAws({
    world: name,
    hostImage: (release) => ensureHost(release, { plain: plainHosts, onProgress }),
    registryMirror: registry.mirror,
    prefix,
    ...(s3 && { s3 }),
  });
  const github = await startGitHub({ stateFile: join(folder, 'github.json') });
  const token = github.createToken({
    permissions: { contents: 'read', pull_requests: 'write', issues: 'write', checks: 'write' },
  });
  const secrets = keepSecrets(folder);
  const path = reachAws({ folder, reattach: aws.reattach, path: tools });
  /** The runner's address, which is this machine, as the nodes see it: their gateway. */
  const runnerCidr = `${prefix}.0.1/32`;
  const env = {
    ...state.env,
    AWS_ENDPOINT_URL_EC2: aws.endpoint,
    NODE_EXTRA_CA_CERTS: aws.tunnels.certificateFile,
  };

  return {
    name,
    folder,
    aws,
    github,
    registry,
    state,
    s3,
    secrets,
    token,
    runnerCidr,
    env,
    path,
    run: (event, inputs = {}, jobOptions = {}) =>
      runJob({
        actionDirectory: root,
        workDirectory: join(folder, 'runner'),
        event,
        urls: github.urls,
        token,
        secrets: Object.values(secrets),
        path,
        env,
        runnerEnvironment: 'self-hosted',
        inputs: {
          ...secrets,
          ...(sshVia === 'direct' ? { 'ssh-cidrs': runnerCidr } : { 'ssh-via': sshVia }),
          'client-cidrs': runnerCidr,
          backend: 's3',
          'backend-config': JSON.stringify({ ...state.backendConfig, key: 'postgres.tfstate' }),
          ...(options.vpcCidr && !inputs['cluster-file'] && { 'vpc-cidr': options.vpcCidr }),
          ...inputs,
        },
        ...jobOptions,
      }),
    describeCluster: (lines) =>
      [
        ...lines,
        sshVia === 'direct' ? `ssh_cidrs: [${runnerCidr}]` : `ssh_via: ${sshVia}`,
        `client_cidrs: [${runnerCidr}]`,
        ...(options.vpcCidr ? [`vpc_cidr: ${options.vpcCidr}`] : []),
        'backend: s3',
        `backend_config: ${JSON.stringify({ ...state.backendConfig, key: 'postgres.tfstate' })}`,
        '',
      ].join('\n'),
    async stop() {
      await Promise.all([aws.stop(), github.stop()]);
    },
  };
}

/** Empties a world: removes all machines, states and pull requests. Its registry stays; it only serves images. */
export async function emptyWorld(name: string): Promise<void> {
  await destroyAws({ world: name });
  await stopState({ world: name });
  await stopS3({ world: name });
  rmSync(locateWorld(name), { recursive: true, force: true });
}

/** Removes everything in a world; with `images`, also everything built to make worlds. */
export async function destroyWorld(
  name: string,
  { images = false }: { images?: boolean } = {},
): Promise<void> {
  await emptyWorld(name);
  await stopRegistry({ world: name });
  if (images) await removeImages();
}

/** The folder of a world's run-time files. */
export function locateWorld(name: string): string {
  return join(root, 'lab', '.out', name);
}

async function refuseOtherWorlds(name: string, internet: string): Promise<void> {
  const format =
    '{{index .Labels "postgres-cluster-lab"}} {{range .IPAM.Config}}{{.Subnet}}{{end}}';
  const ids = await runDocker([
    'network',
    'ls',
    '--quiet',
    '--filter',
    'label=postgres-cluster-lab',
  ]);
  if (ids === '') return;
  const networks = await runDocker(['network', 'inspect', '--format', format, ...ids.split('\n')]);
  for (const [other, subnet] of networks.split('\n').map((line) => line.split(' '))) {
    if (other === name || subnet !== internet) continue;
    throw new Error(
      `The lab's world "${other}" is up and uses the same addresses. Tear it down first: npm run demo:down -- ${other}`,
    );
  }
}

function keepSecrets(folder: string): WorldSecrets {
  const file = join(folder, 'secrets.json');
  if (!existsSync(file)) {
    const key = join(folder, 'ssh-key');
    rmSync(key, { force: true });
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', key]);
    const password = () => crypto.randomUUID().replaceAll('-', '');
    const secrets: WorldSecrets = {
      'postgres-password': password(),
      'replication-password': password(),
      'ssh-private-key': readFileSync(key, 'utf8'),
    };
    writeFileSync(file, JSON.stringify(secrets), { mode: 0o600 });
  }
  return JSON.parse(readFileSync(file, 'utf8')) as WorldSecrets;
}

/** The caller's PATH with Terraform, which is installed if it is missing, and with Ansible as on GitHub's runners. */
async function findToolPath(
  folder: string,
  { ownAnsible = false, onProgress = () => {} }: WorldOptions,
): Promise<string> {
  const own = process.env.PATH ?? '';
  const path = ownAnsible ? own : await findAnsiblePath(own);
  process.env.RUNNER_TOOL_CACHE ??= join(root, 'lab', '.cache', 'tools');
  process.env.RUNNER_TEMP ??= folder;
  const terraform = await findTerraform({ usesLockfile: true, log: onProgress });
  return terraform.path === 'terraform' ? path : `${dirname(terraform.path)}${delimiter}${path}`;
}
