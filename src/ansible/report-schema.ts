import type { z } from 'zod';
import type { NodeObservation } from '../cluster/observation.ts';
import type { NodeProof } from '../cluster/proof.ts';
import { HOT_STANDBY_SENSITIVE } from '../cluster/settings/settings.ts';
import {
  address,
  applicationName,
  backupLabel,
  bound,
  catalogName,
  collationLocale,
  decimal,
  devicePath,
  dictionary,
  digest,
  dockerVersion,
  escapedName,
  filesystem,
  fingerprint,
  flag,
  hostName,
  imageReference,
  instant,
  integerValue,
  keptDirectory,
  libraryVersion,
  list,
  locale,
  lsn,
  nodeName,
  object,
  oneOf,
  pinnedImage,
  proofToken,
  prose,
  settingName,
  settingValue,
  slotName,
  systemIdentifier,
  textFile,
  timeline,
  unit,
  walFile,
  wholeNumber,
  workSource,
} from './reported-values.ts';

const MAX_NODES = 100;

/** PostgreSQL manual, reference of pg_controldata: "Database cluster state". */
const CONTROL_STATES = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
  'unrecognized status code',
] as const;
/** PostgreSQL manual, 27.2.5 "pg_stat_wal_receiver". */
const RECEIVER_STATES = [
  'stopped',
  'starting',
  'connecting',
  'streaming',
  'waiting',
  'restarting',
  'stopping',
] as const;

const setting = object({
  setting: settingValue,
  unit: unit.nullable(),
  context: oneOf([
    'internal',
    'postmaster',
    'sighup',
    'superuser-backend',
    'backend',
    'superuser',
    'user',
  ]),
  type: oneOf(['bool', 'integer', 'real', 'string', 'enum']),
  min: bound.nullable(),
  max: bound.nullable(),
  words: list(settingValue, 500),
  default: settingValue.nullable(),
  fromFile: flag,
}).refine(({ type, setting: value }) => type !== 'integer' || integerValue.test(value), {
  path: ['setting'],
  error: 'expected a whole number',
});

const size = wholeNumber(0, Number.MAX_SAFE_INTEGER);

/** Seconds since the epoch. */
const moment = wholeNumber(0, 2 ** 40);

const archiver = object({
  state: oneOf(['archiving', 'failing', 'unconfigured']),
  failed: size,
  lastFailed: walFile.nullable(),
  waiting: size,
  waitingBytes: size,
  waitingSince: moment.nullable(),
});

const fileSystem = object({
  deviceBytes: size,
  filesystemBytes: size,
  capacityBytes: size,
  usedBytes: size,
  freeBytes: size,
});

const backups = list(
  object({
    label: backupLabel,
    type: oneOf(['full', 'diff', 'incr']),
    started: moment,
    ended: moment,
    databaseBytes: size,
    repositoryBytes: size,
    damaged: flag,
    missingSince: moment.nullable(),
  }),
  400,
);

const backup = object({
  problem: prose(2_000).nullable(),
  systemIdentifier: systemIdentifier.nullable(),
  backups,
  abandoned: backups.default([]),
  oldestWal: walFile.nullable(),
  newestWal: walFile.nullable(),
  walBytes: size.nullable(),
  archivedAt: moment.nullable(),
  dropped: object({ files: size, since: moment }).nullable(),
  running: object({
    type: oneOf(['full', 'incremental']),
    started: moment,
    doneBytes: size,
    totalBytes: size.nullable(),
  }).nullable(),
  last: object({ ended: moment, problem: prose(2_000).nullable() }).nullable(),
});

const observation = object({
  name: nodeName,
  host: object({
    dockerVersion: dockerVersion.nullable(),
    dockerReady: flag,
    imageReady: flag,
    imageDigest: digest.nullable(),
    memoryMib: wholeNumber(0, 2 ** 26),
    authorizedKeysCurrent: flag,
    debian: wholeNumber(1, 999).nullable(),
    backupTools: oneOf(['absent', 'outdated', 'ready']),
    backupKeyCurrent: flag.nullable(),
  }),
  volume: object({
    device: devicePath.nullable(),
    filesystem: filesystem.nullable(),
    ready: flag,
    readOnly: flag,
  }),
  storage: object({
    data: fileSystem.nullable(),
    root: fileSystem.nullable(),
    kept: list(object({ name: keptDirectory, bytes: size, formerPrimary: flag }), 100),
  }),
  work: object({
    kind: oneOf(['clone', 'restore', 'verify']),
    state: oneOf(['running', 'done', 'failed']),
    source: workSource,
    doneBytes: size,
    totalBytes: size.nullable(),
    seconds: size,
    problem: prose(2_000).nullable(),
  }).nullable(),
  data: oneOf(['absent', 'partial', 'unrecorded', 'complete']),
  standby: flag,
  record: object({
    major: wholeNumber(1, 999),
    libc: oneOf(['glibc', 'musl']),
    image: imageReference,
    digest: pinnedImage,
    locale,
    systemIdentifier,
  }).nullable(),
  container: object({
    // Docker Engine API, "Inspect a container".
    state: oneOf(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']),
    current: flag,
  }).nullable(),
  files: object({
    postgresqlConf: textFile(1_048_576).nullable(),
    pgHba: textFile(1_048_576).nullable(),
    pgbackrestConf: textFile(65_536).nullable(),
    backupJson: textFile(65_536).nullable(),
  }),
  overrides: dictionary(settingName, settingValue, 2_000),
  control: object({ state: oneOf(CONTROL_STATES), timeline, lsn }).nullable(),
  upstreamAnswers: flag.nullable(),
  postgres: object({
    inRecovery: flag,
    systemIdentifier,
    timeline,
    history: list(object({ timeline, switchLsn: lsn }), 10_000),
    oldestLsn: lsn,
    version: wholeNumber(90_000, 999_999),
    settings: dictionary(settingName, setting, 2_000).superRefine((settings, context) => {
      // These are written into the configuration of other nodes.
      for (const name of HOT_STANDBY_SENSITIVE) {
        const value = Object.hasOwn(settings, name) ? settings[name]?.setting : undefined;
        if (value !== undefined && !integerValue.test(value)) {
          const path = [name, 'setting'];
          context.addIssue({ code: 'custom', path, message: 'expected a whole number' });
        }
      }
    }),
    filesLoaded: flag,
    slots: list(
      object({
        name: slotName,
        active: flag,
        walStatus: oneOf(['reserved', 'extended', 'unreserved', 'lost']).nullable(),
        retainedBytes: size,
      }),
      1_000,
    ),
    logicalSlots: list(
      object({
        name: slotName,
        database: catalogName,
        plugin: catalogName,
        active: flag,
        failover: flag,
        synced: flag,
        invalid: flag,
        leftover: flag,
      }),
      1_000,
    ),
    senders: list(
      object({
        applicationName,
        state: oneOf(['startup', 'catchup', 'streaming', 'backup', 'stopping']),
        syncState: oneOf(['async', 'potential', 'sync', 'quorum']),
        replayLsn: lsn.nullable(),
      }),
      1_000,
    ),
    receiver: object({
      status: oneOf(RECEIVER_STATES),
      senderHost: hostName.nullable(),
      slotName: slotName.nullable(),
    }).nullable(),
    archiver: archiver.nullable(),
    weakCommits: list(
      object({
        role: escapedName.nullable(),
        database: escapedName.nullable(),
        value: oneOf(['off', 'local', 'remote_write', 'false', 'no', '0']),
      }),
      20,
    ),
    replayPaused: flag,
    lsn,
    passwordsCurrent: flag.nullable(),
    collations: list(
      object({
        provider: oneOf(['libc', 'icu']),
        locale: collationLocale,
        version: libraryVersion.nullable(),
      }),
      100,
    ),
    imageLacks: list(wholeNumber(0, 999), 100).nullable(),
  }).nullable(),
  backup: backup.nullable(),
  rehearsal: object({
    ended: moment,
    restoredTo: moment,
    seconds: size,
    bytes: size,
    commitAge: size.nullable(),
  }).nullable(),
}) satisfies z.ZodType<NodeObservation>;

const proof = object({
  name: nodeName,
  role: oneOf(['primary', 'replica']),
  address,
  state: oneOf([
    'running',
    'in recovery',
    'not running',
    'not in recovery',
    'not connected',
    ...RECEIVER_STATES,
  ]),
  timeline: timeline.nullable(),
  lsn: lsn.nullable(),
  lagBytes: size.nullable(),
  // Negative if the clocks differ.
  lagSeconds: decimal(-1e9, 1e9).nullable(),
  replayPaused: flag,
  tokenRead: flag,
  slot: slotName.nullable(),
  systemIdentifier: systemIdentifier.nullable(),
  archiver: archiver.nullable(),
  archivedWal: walFile.nullable(),
  canary: object({
    token: proofToken,
    written: instant,
    roles: size,
    databases: size,
    names: fingerprint,
  }).nullable(),
  verification: object({
    backup: backupLabel,
    restoreSeconds: size,
    verifySeconds: size,
    lastCommit: moment.nullable(),
    databases: size,
    relations: size,
    method: oneOf(['pg_amcheck', 'pg_dumpall']),
    bytes: size,
  }).nullable(),
  storage: object({ capacityBytes: size, usedBytes: size }).nullable(),
  problem: prose(8_000).nullable(),
}) satisfies z.ZodType<NodeProof>;

const count = wholeNumber(0, 1_000_000);

/** The report of one run, as `playbooks/callback_plugins/cluster.py` writes it. Every value has a pattern and a limit. */
export const reportSchema = object({
  observations: list(observation, MAX_NODES),
  proof: list(proof, MAX_NODES),
  stats: dictionary(
    nodeName,
    object({ ok: count, changed: count, failures: count, unreachable: count }),
    MAX_NODES,
  ),
  changes: list(object({ node: nodeName, step: prose(100), task: prose(200) }), 10_000),
  failures: list(
    object({
      node: nodeName,
      step: prose(100),
      task: prose(200),
      /** When it failed, by the runner's clock. */
      time: moment,
      message: prose(8_000),
      /** The last lines of the server's log if it did not start, else empty. */
      log: prose(8_000),
    }),
    1_000,
  ),
  /** What a reader should know about a step, e.g. where data was kept. */
  notes: list(object({ node: nodeName, note: prose(2_000) }), 10_000),
  /** Steps whose work goes on without this run: they are to be done again. */
  pending: list(object({ node: nodeName, step: prose(100) }), 10_000),
});
