/**
 * Returns a WAL position as a number: `1/A0` → 4294967456n (PostgreSQL manual, 8.20 "pg_lsn Type").
 * Throws on anything else.
 */
export function parseLsn(lsn: string): bigint {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(lsn);
  if (!match) throw new Error(`${JSON.stringify(lsn)} is not a WAL position`);
  return BigInt(`0x${match[1]}`) * 2n ** 32n + BigInt(`0x${match[2]}`);
}

/** Whether position `a` is before position `b`. */
export function isBefore(a: string, b: string): boolean {
  return parseLsn(a) < parseLsn(b);
}

/** Returns the furthest of several positions; `start` if none is further. */
export function findFurthest(positions: readonly string[], start: string): string {
  return positions.reduce((end, other) => (isBefore(end, other) ? other : end), start);
}
