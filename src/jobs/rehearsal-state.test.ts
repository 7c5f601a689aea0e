import { expect, test } from 'vitest';
import type { Backend } from '../inputs/inputs.ts';
import { findLeftRehearsal } from './rehearsal-state.ts';
import { createJob } from './testing/job.ts';

const S3 = { type: 's3', config: { bucket: 'states', key: 'orders.tfstate' } };

/** A job whose look at any state would fail. */
const describe = (name: string, backend: Backend | null) =>
  createJob({ inputs: { backend, spec: { name } } });

test.each<[string, string, Backend | null]>([
  ['without a state', 'orders', null],
  ['whose name has no room for another', 'o'.repeat(31), S3],
  ['whose backend has no place for another', 'orders', { type: 'http', config: {} }],
])('a cluster %s has no rehearsal, and no state is looked at', async (_, name, backend) => {
  expect(await findLeftRehearsal(describe(name, backend))).toBeNull();
});

test('every other cluster may have one', async () => {
  await expect(findLeftRehearsal(describe('orders', S3))).rejects.toThrow();
});
