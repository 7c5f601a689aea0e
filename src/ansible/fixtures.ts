import type {
  ArchiverObservation,
  BackupObservation,
  NodeObservation,
} from '../cluster/observation.ts';
import { createDesired, createHealthy } from '../cluster/testing/fixtures.ts';
import { createProof } from '../report/fixtures/report.ts';
import type { AnsibleResult } from './result.ts';

// Builders for tests: the report of a healthy cluster, with a value in every field that a node may fill.

/** The cluster that reports: three nodes, one of which leaves. */
export const REPORTED = (() => {
  const { nodes } = createDesired({ size: 3 });
  return createDesired({ size: 2, leaving: nodes.slice(2) });
})();

/** Names of the nodes of the run. */
export const ASKED = ['node-1', 'node-2', 'node-3'];

/** A new object for each use, so that a test changes only its own. */
const createArchiver = (): ArchiverObservation => ({
  state: 'failing',
  failed: 12,
  lastFailed: '000000010000000000000003',
  waiting: 40,
  waitingBytes: 671_088_640,
  waitingSince: 1_795_318_200,
});

const createBackups = (): BackupObservation => ({
  problem: null,
  systemIdentifier: '7300000000000000001',
  backups: [
    {
      label: '20261122-023000F',
      type: 'full',
      ...{ started: 1_795_314_600, ended: 1_795_314_660 },
      ...{ databaseBytes: 2048, repositoryBytes: 1024 },
      damaged: true,
      missingSince: 1_795_310_000,
    },
  ],
  abandoned: [],
  oldestWal: '000000010000000000000003',
  newestWal: '000000010000000000000042',
  walBytes: 64_424_509_440,
  archivedAt: 1_795_318_200,
  dropped: { files: 3, since: 1_795_318_000 },
  running: { type: 'full', started: 1_795_318_100, doneBytes: 1024, totalBytes: 2048 },
  last: { ended: 1_795_318_050, problem: 'no space is left in the bucket' },
});

/** Returns the report of the playbooks on `REPORTED`, with a value in every field. */
export function createReport(): AnsibleResult {
  const observations = createHealthy(REPORTED).map(
    (node): NodeObservation => ({
      ...node,
      storage: {
        ...node.storage,
        kept: [{ name: 'data.old-20261126T101500Z', bytes: 1024, formerPrimary: true }],
      },
      work: {
        kind: 'clone',
        state: 'failed',
        source: '10.42.0.11',
        doneBytes: 1024,
        totalBytes: 2048,
        seconds: 5,
        problem: 'no space is left on the volume',
      },
      overrides: { work_mem: '5MB' },
      files: {
        ...node.files,
        pgbackrestConf: 'repo1-s3-bucket=acme-backups\nrepo1-path=/postgres\n',
        backupJson: '{"time":"02:30","fullOn":"sunday"}',
      },
      backup: node.name === 'node-1' ? createBackups() : null,
      control: { state: 'in production', timeline: 1, lsn: '0/3000148' },
      postgres: node.postgres && {
        ...node.postgres,
        imageLacks: [0],
        history: [{ timeline: 1, switchLsn: '0/2000000' }],
        settings: {
          ...node.postgres.settings,
          log_line_prefix: {
            setting: '%m ',
            unit: 'kB',
            context: 'sighup',
            type: 'string',
            min: '0',
            max: '1',
            words: ['word'],
            default: '',
            fromFile: true,
          },
        },
        slots: [
          ...node.postgres.slots,
          { name: 'node_9', active: false, walStatus: 'reserved', retainedBytes: 0 },
        ],
        archiver: createArchiver(),
        weakCommits: [{ role: 'batch', database: 'orders', value: 'off' }],
        logicalSlots: [
          {
            name: 'orders_cdc',
            database: 'shop',
            plugin: 'pgoutput',
            active: true,
            failover: true,
            synced: false,
            invalid: false,
            leftover: false,
          },
        ],
        senders: [
          {
            applicationName: 'node_2',
            state: 'streaming',
            syncState: 'async',
            replayLsn: '0/3000148',
          },
        ],
      },
    }),
  );
  const proof = [1, 2].map((number) =>
    createProof(number, {
      archiver: createArchiver(),
      storage: { capacityBytes: 2048, usedBytes: 1024 },
      problem: 'its WAL receiver is stopping',
    }),
  );
  const stats = { ok: 1, changed: 0, failures: 0, unreachable: 0 };
  return {
    // These are parsed without a change.
    observations: observations as AnsibleResult['observations'],
    proof: proof as AnsibleResult['proof'],
    stats: Object.fromEntries(ASKED.map((name) => [name, stats])),
    changes: [{ node: 'node-1', step: 'reload', task: 'Reload the configuration' }],
    failures: [
      {
        node: 'node-2',
        step: 'observe',
        task: 'Look at the node',
        time: 1_763_780_400,
        message: 'it failed',
        log: 'FATAL',
      },
    ],
    notes: [{ node: 'node-2', note: 'data was kept' }],
    pending: [{ node: 'node-2', step: 'clone' }],
  };
}
