import { test } from 'vitest';

/** `LAB_NIGHTLY=1`: also the tests that repeat another one, e.g. for every version of PostgreSQL. */
const isNightly = process.env.LAB_NIGHTLY === '1';

/** A test for nightly runs only; others report it as skipped. */
export const nightlyTest = test.skipIf(!isNightly);

/** Returns the rows of a table: the first ones are for every run, the others for nightly runs only. */
export function chooseRows<const Row>(always: readonly Row[], nightly: readonly Row[]): Row[] {
  return isNightly ? [...always, ...nightly] : [...always];
}
