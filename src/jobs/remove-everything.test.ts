import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Aws } from '../../lab/aws/main.ts';
import type { Terraform } from '../terraform/cli.ts';
import { ERRORED_STATE } from '../terraform/errored-state.ts';
import type { Job } from './job.ts';
import { removeEverything } from './remove-everything.ts';
import { Cloud } from './testing/cloud.ts';

// Terraform against a cloud without machines: removes what a rehearsal made, and nothing else.

// Each plan and apply starts Terraform.
vi.setConfig({ testTimeout: 120_000 });

const VALUES = { replica_count: 0, final_snapshot: false };
const TAGGED = { ...VALUES, rehearsal_of: 'orders' };

let cloud: Cloud;
let aws: Aws;
let terraform: Terraform;
let job: Job;

beforeAll(async () => {
  cloud = await Cloud.open('removal-test', { cluster: 'orders-rehearsal' });
  ({ aws, terraform, job } = cloud);
}, 120_000);
afterAll(() => cloud.close());

async function apply(values: object): Promise<void> {
  cloud.write(values);
  await terraform.init();
  await cloud.apply();
}

const remove = (isRehearsal: boolean) => removeEverything(job, { terraform, isRehearsal });
const count = () => [aws.listInstances().length, Object.keys(aws.tables.volumes).length];

test('only what bears the tag of a rehearsal is removed as one, completely and without a snapshot', async () => {
  // As an import leaves it.
  await apply(VALUES);
  const before = count();
  await expect(remove(true)).rejects.toThrow(
    /has no tag RehearsalOf, where a rehearsal has orders/,
  );
  expect(count()).toEqual(before);

  await apply(TAGGED);
  await expect(remove(false)).rejects.toThrow(/belongs to a rehearsal of "orders"/);
  expect(count()).toEqual(before);

  expect(await remove(true)).toMatchObject({ hasChanges: true, nodes: ['node-1'] });
  expect(count().at(1)).toBe(0);
  expect(aws.tables.snapshots).toEqual({});
  expect(await remove(true)).toMatchObject({ hasChanges: false });
});

test('an empty state is not the end of a removal while another one is not saved', async () => {
  const file = join(cloud.directory, ERRORED_STATE);
  writeFileSync(file, '{}');
  await expect(remove(true)).rejects.toThrow(/was not saved in the backend.* or not be removed/s);
  rmSync(file);
  expect(await remove(true)).toMatchObject({ hasChanges: false });
});
