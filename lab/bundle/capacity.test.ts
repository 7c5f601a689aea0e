import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import type { Tables } from '../aws/world.ts';
import type { WorkflowEvent } from '../github/event.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// A first deploy that EC2 refuses: the comment names the nodes, the type, the zone and what to try.

vi.setConfig({ testTimeout: 120_000 });

let bench: Bench;
let aws: Aws;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capacity-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'capacity-test', instances: 'none', directory: join(folder, 'aws') }),
  ]);
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

const run = (event: WorkflowEvent) =>
  bench.run(
    event,
    { 'instance-type': 't3.medium', 'replica-count': '1' },
    { path: reachAws({ folder, reattach: aws.reattach }), workDirectory: join(folder, 'job') },
  );

/** Merges a pull request whose deploy EC2 refuses; returns its comment. */
async function deploy(refuse: (tables: Tables) => void): Promise<string> {
  const branch = `first-${Math.random()}`;
  const { payload, ...event } = bench.github.openPullRequest({ branch, title: branch });
  expect(listErrors(await run({ payload, ...event }))).toEqual([]);
  await aws.edit(refuse);
  const result = await run(bench.github.merge(payload.number, 'squash').push);
  expect(result.conclusion).toBe('failure');
  expect(aws.listInstances()).toEqual([]);
  return bench.github.listComments(payload.number)[0]?.body ?? '';
}

test('a lack of capacity', async () => {
  const comment = await deploy((tables) => {
    tables.shortages = ['t3.medium'];
  });
  for (const [node, zone] of [
    ['node-1', 'us-east-1a'],
    ['node-2', 'us-east-1b'],
  ]) {
    expect(comment).toContain(
      `${node}: EC2 has no capacity for t3.medium in ${zone} now. Nodes that exist run on. Run this job again later, give another instance-type, or add ${zone} to avoid-zones`,
    );
  }
});

test('a quota, of which EC2 names neither the type nor the zone', async () => {
  const comment = await deploy((tables) => {
    tables.shortages = [];
    tables.quotas.vcpus = 1;
  });
  for (const [node, zone] of [
    ['node-1', 'us-east-1a'],
    ['node-2', 'us-east-1b'],
  ]) {
    expect(comment).toContain(
      `${node}: t3.medium in ${zone} was refused, because the account's quota of vCPUs is reached in this region.`,
    );
  }
  expect(comment).toContain('servicequotas/home/services/ec2/quotas/L-1216C47A');
});
