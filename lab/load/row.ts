import { createHash } from 'node:crypto';

/** The table the load writes to. */
export const TABLE = 'load_rows';

/** A row's value besides its counter, so that a wrong row is detected. */
export function makePayload(counter: number): string {
  return createHash('sha256').update(`row ${counter}`).digest('hex');
}
