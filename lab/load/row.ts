import { createHash } from 'node:crypto';

/** The table the load writes to. */
export const TABLE = 'load_rows';

/** What a row carries beside its counter, so that a wrong one is seen. */
export function makePayload(counter: number): string {
  return createHash('sha256').update(`row ${counter}`).digest('hex');
}
