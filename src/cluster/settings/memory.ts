import { parseInteger } from './parse-value.ts';

const PAGE = 8192;
const MIB = 1024 ** 2;
/** The rest is for connections, sorts, maintenance and the file cache, which PostgreSQL relies on. */
const MAX_SHARE = 0.75;
/** The usual start (PostgreSQL manual, 19.4.1 `shared_buffers`). */
const RECOMMENDED_SHARE = 0.25;

/**
 * Explains why nodes with this memory cannot run with `sharedBuffers`, and the way out; null when they can, when the memory
 * is unknown, or when the value is no size, which is reported elsewhere.
 */
export function checkMemory({
  sharedBuffers,
  memoryMib,
  instanceType = null,
}: {
  /** As written in `postgresql.conf`; undefined: PostgreSQL's small default. */
  sharedBuffers: string | undefined;
  /** RAM of a node; null: unknown. */
  memoryMib: number | null;
  /** Null: unknown. */
  instanceType?: string | null;
}): string | null {
  const pages = sharedBuffers === undefined ? null : parseInteger(sharedBuffers, '8kB');
  if (pages === null || memoryMib === null) return null;
  const share = (pages * PAGE) / (memoryMib * MIB);
  if (share <= MAX_SHARE) return null;
  const most = Math.floor(memoryMib * MAX_SHARE);
  const usual = Math.floor(memoryMib * RECOMMENDED_SHARE);
  return `shared_buffers = ${sharedBuffers?.trim()} is ${Math.ceil(share * 100)} % of the ${memoryMib} MiB of memory that ${instanceType ?? 'a node'} has. Above 75 % too little is left for connections and sorts, and the server would be killed. Allowed: at most ${most}MB, usual are ${usual}MB; or give a larger instance-type.`;
}
