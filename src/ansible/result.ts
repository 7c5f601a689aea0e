import type { z } from 'zod';
import type { NodeObservation } from '../cluster/observation.ts';
import type { NodeProof } from '../cluster/proof.ts';
import { HOT_STANDBY_SENSITIVE } from '../cluster/settings/settings.ts';
import { UserError } from '../messages/errors.ts';
import { quoteValue } from '../messages/quote-value.ts';
import {
  address,
  applicationName,
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
  flag,
  hostName,
  imageReference,
  integerValue,
  libraryVersion,
  list,
  locale,
  lsn,
  nodeName,
  object,
  oneOf,
  pinnedImage,
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
} from './reported.ts';

/** Bytes that the report of one run may have: sixteen nodes with the most that one may say. */
export const RESULT_BYTES = 64 * 1024 * 1024;
/** Problems that are shown; a report that is wrong throughout need not be shown throughout. */
const PROBLEMS = 10;
const MOST_NODES = 100;

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

const archiver = object({
  state: oneOf(['archiving', 'failing', 'unconfigured']),
  failed: size,
  lastFailed: walFile.nullable(),
  waiting: size,
  waitingBytes: size,
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
  }),
  volume: object({
    device: devicePath.nullable(),
    filesystem: filesystem.nullable(),
    ready: flag,
    readOnly: flag,
  }),
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
  // Clocks differ, so it may be less than nothing.
  lagSeconds: decimal(-1e9, 1e9).nullable(),
  replayPaused: flag,
  tokenRead: flag,
  slot: slotName.nullable(),
  systemIdentifier: systemIdentifier.nullable(),
  archiver: archiver.nullable(),
  problem: prose(8_000).nullable(),
}) satisfies z.ZodType<NodeProof>;

const count = wholeNumber(0, 1_000_000);

const schema = object({
  observations: list(observation, MOST_NODES),
  proof: list(proof, MOST_NODES),
  stats: dictionary(
    nodeName,
    object({ ok: count, changed: count, failures: count, unreachable: count }),
    MOST_NODES,
  ),
  changes: list(object({ node: nodeName, step: prose(100), task: prose(200) }), 10_000),
  failures: list(
    object({
      node: nodeName,
      task: prose(200),
      message: prose(8_000),
      /** The server's own last lines where it did not start, else empty. */
      log: prose(8_000),
    }),
    1_000,
  ),
  /** What people should know of what was done, e.g. where data was kept. */
  notes: list(object({ node: nodeName, note: prose(2_000) }), 10_000),
});

/** What one run of a playbook reported through the callback plugin in `playbooks/callback_plugins`. */
export type AnsibleResult = z.infer<typeof schema>;

/**
 * Reads the report of a run on `nodes` (names). Every value in it is data of its kind afterwards: what a node reports is
 * its root's to choose.
 *
 * @throws UserError naming node, field and what was found, where a value is not one that a node can report
 */
export function parseResult(json: string, { nodes }: { nodes: readonly string[] }): AnsibleResult {
  const document = parseJson(json);
  const result = schema.safeParse(document);
  const problems = result.success
    ? findStrangers(result.data, nodes)
    : result.error.issues.map((issue) => describeIssue(issue, document));
  if (result.success && problems.length === 0) return result.data;
  const rest = problems.length - PROBLEMS;
  throw new UserError([
    ...problems.slice(0, PROBLEMS),
    ...(rest > 0 ? [`And ${rest} more of the kind.`] : []),
    'Nothing that was reported is used. Nodes that are as this action made them report no such thing: find out who can become root there, or stop the instance, before you run this again.',
  ]);
}

function parseJson(json: string): unknown {
  if (Buffer.byteLength(json) > RESULT_BYTES) throw refuseSize(Buffer.byteLength(json));
  try {
    return JSON.parse(json);
  } catch (error) {
    // The words of the parser quote what was reported.
    throw new UserError(
      `The nodes' report is not JSON (${Buffer.byteLength(json)} bytes). Run this again; if it stays so, look at the nodes.`,
      { cause: error },
    );
  }
}

/** The problem of a report of `bytes` bytes, which is more than is read. */
export function refuseSize(bytes: number): UserError {
  return new UserError(
    `The nodes' report has ${bytes} bytes, at most ${RESULT_BYTES} are read. A node reports a few hundred settings and two small files: look at what it does before you run this again.`,
  );
}

/** A node that was not asked may not report, and no node may report twice. */
function findStrangers(result: AnsibleResult, nodes: readonly string[]): string[] {
  const { observations, proof: lines, stats, changes, failures, notes } = result;
  const named = [
    ...[...observations, ...lines].map(({ name }) => name),
    ...Object.keys(stats),
    ...[...changes, ...failures, ...notes].map(({ node }) => node),
  ];
  const strangers = [...new Set(named)].filter((name) => !nodes.includes(name));
  const findTwice = (names: readonly string[]) =>
    names.filter((name, index) => names.indexOf(name) < index);
  const twice = [observations, lines].flatMap((list) => findTwice(list.map(({ name }) => name)));
  return [
    ...strangers.map((name) => `${name}: is in the report and was not asked`),
    ...[...new Set(twice)].map((name) => `${name}: is in the report more than once`),
  ];
}

/** What a list has one of for each node. */
const NOUNS: Readonly<Record<string, string>> = { observations: 'observation' };

/** `node-2: observation.record.digest is "…", expected …`. */
function describeIssue(issue: z.core.$ZodIssue, document: unknown): string {
  const [part, index, ...path] = issue.path;
  const entry = readPath(document, [part, index]) as { name?: unknown; node?: unknown } | undefined;
  const node = part === 'stats' ? index : (entry?.name ?? entry?.node);
  const isKnown = typeof node === 'string' && nodeName.safeParse(node).success;
  const field = isKnown && path.length > 0 ? [NOUNS[String(part)] ?? part, ...path] : issue.path;
  const where = `${isKnown ? node : 'a node'}: ${field.map(quoteKey).join('.')}`;
  if (issue.code === 'invalid_key') {
    return `${where} is such a name, ${issue.issues[0]?.message ?? issue.message}`;
  }
  const found = readPath(document, issue.path);
  return found === undefined
    ? `${where} is missing, ${issue.message}`
    : `${where} is ${showValue(found)}, ${issue.message}`;
}

/** A name that this action chose as it is, any other one quoted. */
function quoteKey(key: PropertyKey | undefined): string {
  return typeof key === 'string' && !/^\w{1,63}$/.test(key) ? quoteValue(key) : String(key);
}

function showValue(value: unknown): string {
  if (typeof value === 'string') return quoteValue(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) {
    return `an object of ${Object.keys(value).length}`;
  }
  return String(value);
}

function readPath(document: unknown, path: readonly (PropertyKey | undefined)[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && key !== undefined && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    document,
  );
}
