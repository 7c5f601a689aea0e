import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DesiredCluster } from '../../src/cluster/desired.ts';
import { slotName } from '../../src/cluster/node.ts';
import type { CopyOptions, Step, StepOf } from '../../src/cluster/rollout/step.ts';
import { MANAGED_SETTINGS, type Settings } from '../../src/cluster/settings/settings.ts';
import type { DebianRelease } from '../images/catalogue.ts';
import type { PostgresTag } from '../registry/registry.ts';
import { type DriveOptions, type PlaybookRun, runPlaybook } from './drive.ts';
import { DISK_GIB, type Hosts, startHosts } from './hosts.ts';

/** The data volume's mount point on a node. */
export const ROOT = '/var/lib/postgresql-cluster';

/** A small cluster on real hosts; a test executes its steps one by one. */
export interface Testbed {
  readonly hosts: Hosts;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly desired: DesiredCluster;
  /** The variables of every step that writes configuration, with `primary` as the primary. */
  configure(primary: string): Pick<StepOf<'start'>, 'primary' | 'settings'> & CopyOptions;
  /** The slots that `primary` needs. */
  slotsBeside(primary: string): string[];
  /** The switchover between two nodes. */
  switchOver(from: string, to: string): StepOf<'switchover'>;
  /** Runs steps, without a proof. */
  run(
    steps: readonly Step[],
    options?: Partial<DriveOptions>,
    desired?: Partial<DesiredCluster>,
  ): Promise<PlaybookRun>;
  /** Runs steps and requires that they succeed; returns what changed, as `node step`. */
  change(steps: readonly Step[], options?: Partial<DriveOptions>): Promise<string[]>;
  /** Proves that the whole cluster follows `primary`; returns the answer of each node. */
  prove(primary: string): Promise<PlaybookRun['proof']>;
  observe(): Promise<PlaybookRun['observations']>;
  query(node: string, sql: string): Promise<string>;
  /** Waits until a shell condition holds on a node; polls fast enough to hit the middle of a step. */
  waitOn(node: string, condition: string): Promise<void>;
  /** Removes the hosts and the files. */
  close(): Promise<void>;
}

/** Starts hosts and a cluster on them whose primary is node-1. */
export async function startTestbed(options: {
  world: string;
  prefix: string;
  count: number;
  tags: readonly PostgresTag[];
  image: string;
  settings?: Settings;
  /** See startHosts. */
  release?: (number: number) => DebianRelease;
  /** Starts an S3 that the hosts know and trust. */
  backups?: boolean;
  /** Size of each data volume. */
  diskGib?: number;
}): Promise<Testbed> {
  const { world, prefix, count, tags, image, release, backups = false } = options;
  const { diskGib = DISK_GIB } = options;
  const folder = await mkdtemp(join(tmpdir(), 'pgca-test-'));
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  const hosts = await startHosts({
    world,
    prefix,
    folder: join(folder, 'hosts'),
    count,
    tags,
    backups,
    diskGib,
    ...(release && { release }),
    onProgress: (line) => console.log(line),
  }).catch(async (error) => {
    await removeFolder();
    throw error;
  });
  const names = hosts.nodes.map(({ name }) => name);
  const settings = { ...MANAGED_SETTINGS, shared_buffers: '64MB', ...options.settings };
  const buildOptions = (
    more: Partial<DriveOptions> = {},
    desired: Partial<DesiredCluster> = {},
  ): DriveOptions => ({
    desired: {
      name: 'orders',
      nodes: hosts.nodes,
      leaving: [],
      instanceType: null,
      memoryMib: null,
      primary: null,
      synchronousReplicas: 0,
      image,
      settings: {},
      clientCidrs: [`${prefix}.0.1/32`],
      storage: { dataGib: diskGib, rootGib: 16 },
      clone: { from: 'primary', maxRate: null },
      region: 'us-east-1',
      backup: null,
      restore: null,
      rehearsal: null,
      ...desired,
    },
    folder: join(folder, 'run'),
    key: hosts.key,
    authorizedKey: hosts.authorizedKey,
    superuserPassword: 'postgres',
    replicationPassword: 'replicator',
    waitSeconds: 60,
    ...more,
  });
  const testbed: Testbed = {
    hosts,
    names,
    addresses: hosts.nodes.map(({ privateAddress }) => privateAddress),
    desired: buildOptions().desired,
    configure: (primary) => ({
      primary,
      settings,
      source: primary,
      maxRate: null,
      neededBytes: {},
    }),
    slotsBeside: (primary) => names.filter((name) => name !== primary).map(slotName),
    switchOver: (from, to) => ({
      kind: 'switchover',
      nodes: [from, to],
      ...testbed.configure(to),
      slots: testbed.slotsBeside(to),
    }),
    run: (steps, more, desired) => {
      const work = { primary: 'node-1', steps, prove: false };
      return runPlaybook(buildOptions(more, desired), 'site.yml', work);
    },
    async change(steps, more) {
      const done = await testbed.run(steps, more);
      assert.deepEqual(done.failures, [], done.output);
      assert.equal(done.exitCode, 0, done.output);
      return done.changes.map(({ node, step }) => `${node} ${step}`);
    },
    async prove(primary) {
      const done = await runPlaybook(buildOptions(), 'site.yml', { primary, steps: [] });
      assert.deepEqual(done.failures, [], done.output);
      assert.equal(done.exitCode, 0, done.output);
      const proven = done.proof.map(({ name }) => name);
      assert.deepEqual(proven, names);
      return done.proof;
    },
    async observe() {
      const done = await runPlaybook(buildOptions(), 'observe.yml');
      assert.equal(done.exitCode, 0, done.output);
      return done.observations;
    },
    query: (node, sql) =>
      hosts.run(node, `docker exec -i postgres-orders psql -XAtq -U postgres <<'SQL'\n${sql}\nSQL`),
    async waitOn(node, condition) {
      await hosts.run(node, `timeout 60 bash -c 'until ${condition}; do sleep 0.01; done'`);
    },
    async close() {
      await hosts.destroy();
      await removeFolder();
    },
  };
  const common = testbed.configure('node-1');
  const replicas = names.slice(1);
  try {
    // Hosts accept ssh shortly after they were started.
    await testbed.observe();
    await testbed.change([
      { kind: 'prepare', nodes: names },
      { kind: 'initialise', nodes: ['node-1'], ...common },
      {
        kind: 'admit',
        nodes: ['node-1'],
        ...common,
        slots: testbed.slotsBeside('node-1'),
        retiredSlots: [],
      },
      { kind: 'clone', nodes: replicas, ...common },
    ]);
    await testbed.prove('node-1');
  } catch (error) {
    await testbed.close();
    throw error;
  }
  return testbed;
}
