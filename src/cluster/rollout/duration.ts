import type { Step, StepOf } from './step.ts';

/** A range of seconds. */
export interface Duration {
  readonly least: number;
  readonly most: number;
}

/** What Terraform makes before the first step. */
export interface NewInfrastructure {
  /** Number of new or replaced instances. */
  readonly nodes: number;
  readonly endpoint: boolean;
  readonly natGateway: boolean;
}

/** Plan, look at the nodes, and the proof. */
const FRAME = [30, 90] as const;
/** From the request to a host with packages and image. */
const NEW_NODE = [120, 300] as const;
/** AWS documents minutes for both. Nodes need the gateway for their first packages, and are made beside the endpoint. */
const ENDPOINT = [180, 420] as const;
const NAT_GATEWAY = [90, 180] as const;

/** Steps that take as long as their data is large. */
type SizedKind = 'clone' | 'backup' | 'restore' | 'verify';

/** Seconds of one step, by kind, on all of its nodes at the same time. The others depend on the size of the data. */
const STEPS: Readonly<Record<Exclude<Step['kind'], SizedKind>, readonly [number, number]>> = {
  provision: NEW_NODE,
  boot: [60, 180],
  prepare: [5, 30],
  grow: [10, 120],
  check: [5, 20],
  initialise: [5, 20],
  archive: [5, 30],
  admit: [2, 10],
  start: [10, 60],
  reload: [2, 10],
  restart: [10, 60],
  stop: [5, 60],
  switchover: [5, 60],
  fence: [5, 30],
  discard: [5, 60],
  record: [2, 10],
  promote: [5, 30],
  resize: [90, 240],
  halt: [60, 180],
  replace: NEW_NODE,
  // With a last snapshot of a small or mostly unchanged volume.
  destroy: [60, 300],
};

/** Bytes per second of a copy between two instances without a limit: small types on the left. */
const SLOW_COPY = 40 * 1024 ** 2;
const FAST_COPY = 200 * 1024 ** 2;
/** The checkpoint before a copy, and the start after it. */
const AROUND_COPY = [10, 60] as const;

/** Bytes per second that a backup reads, compresses and sends. */
const SLOW_BACKUP = 20 * 1024 ** 2;
const FAST_BACKUP = 150 * 1024 ** 2;
/** Its checkpoint before, and the WAL that it waits for after. */
const AROUND_BACKUP = [10, 60] as const;

/**
 * Estimates how long a merge takes until its proof, from what it does; null if data of unknown size is copied, or
 * nothing is done. `dataBytes`: size of the primary's data; null where it is not known. The figures are what AWS documents and what runs showed, not a promise.
 */
export function estimateDuration(
  steps: readonly Step[],
  {
    nodes,
    endpoint,
    natGateway,
    dataBytes = null,
  }: NewInfrastructure & { dataBytes?: number | null },
): Duration | null {
  const isNew = steps.some(({ kind }) => kind === 'initialise');
  const parts: (readonly [number, number] | null)[] = [
    FRAME,
    ...(natGateway ? [NAT_GATEWAY] : []),
    // One waits for the other.
    ...(nodes > 0 || endpoint ? [endpoint ? ENDPOINT : NEW_NODE] : []),
    ...steps.map((step) => measure(step, { isNew, dataBytes })),
  ];
  return parts.reduce<Duration | null>(
    (sum, part) =>
      sum === null || part === null
        ? null
        : { least: sum.least + part[0], most: sum.most + part[1] },
    { least: 0, most: 0 },
  );
}

function measure(
  step: Step,
  { isNew, dataBytes }: { isNew: boolean; dataBytes: number | null },
): readonly [number, number] | null {
  switch (step.kind) {
    case 'clone':
      return measureCopy(step, isNew);
    case 'restore':
    case 'verify':
      return null;
    case 'backup': {
      const bytes = isNew ? 0 : dataBytes;
      const [before, after] = AROUND_BACKUP;
      return bytes === null ? null : [before + bytes / FAST_BACKUP, after + bytes / SLOW_BACKUP];
    }
    default:
      return STEPS[step.kind];
  }
}

function measureCopy(
  { nodes, neededBytes, maxRate }: StepOf<'clone'>,
  isNew: boolean,
): readonly [number, number] | null {
  if (isNew) return AROUND_COPY;
  const sizes = nodes.map((node) => neededBytes[node]).filter((size) => size !== undefined);
  if (sizes.length < nodes.length) return null;
  const largest = Math.max(...sizes);
  const limit = maxRate === null ? Number.POSITIVE_INFINITY : maxRate * 1024;
  return [
    AROUND_COPY[0] + largest / Math.min(limit, FAST_COPY),
    AROUND_COPY[1] + largest / Math.min(limit, SLOW_COPY),
  ];
}

/** Returns e.g. `about a minute`, `about 4 minutes`, `about 3 to 8 minutes` or `about 2 to 5 hours`. */
export function formatRange({ least, most }: Duration): string {
  const [unit, size] = least >= 5_400 ? ['hour', 3_600] : ['minute', 60];
  const low = Math.max(1, Math.round(least / size));
  const high = Math.max(low, Math.ceil(most / size));
  if (low === high)
    return low === 1 ? `about ${unit === 'hour' ? 'an' : 'a'} ${unit}` : `about ${low} ${unit}s`;
  return `about ${low} to ${high} ${unit}s`;
}
