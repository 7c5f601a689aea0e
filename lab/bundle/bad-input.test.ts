import { existsSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WorkflowEvent } from '../github/event.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

let bench: Bench;
let opened: WorkflowEvent;
let merged: WorkflowEvent;

beforeAll(async () => {
  bench = await openBench();
  opened = bench.github.openPullRequest({ branch: 'change', title: 'Change the cluster' });
  const { number } = (opened.payload as { pull_request: { number: number } }).pull_request;
  merged = bench.github.merge(number, 'squash').push;
});
afterAll(() => bench.close());

/** Asserts that nothing was written, started or posted. */
async function expectRefusal(
  inputs: Record<string, string>,
  expected: readonly RegExp[],
  options: { event?: WorkflowEvent; runnerEnvironment?: 'github-hosted' | 'self-hosted' } = {},
): Promise<void> {
  const { event = merged, runnerEnvironment = 'self-hosted' } = options;
  const before = bench.github.journal.length;
  const result = await bench.run(event, inputs, { runnerEnvironment });
  const errors = listErrors(result);
  expect(result.conclusion).toBe('failure');
  expect(errors).toHaveLength(expected.length);
  for (const [index, pattern] of expected.entries()) expect(errors[index]).toMatch(pattern);
  expect(result.raw).not.toMatch(/\n\s+at .*\(.*:\d+:\d+\)/);
  expect(bench.github.journal.slice(before)).toEqual([]);
  expect(result.leftovers).toEqual([]);
  expect(result.orphans).toEqual([]);
  const { workspace } = result.directories;
  expect(existsSync(workspace) ? readdirSync(workspace) : []).toEqual([]);
}

describe('a bad input is refused by the bundle before anything happens', () => {
  test.each<[string, string, RegExp]>([
    ['replica-count', '-1', /"-1" is not allowed\. Allowed: a whole number from 0 to 15/],
    ['replica-count', '1.5', /"1\.5" is not allowed/],
    ['replica-count', 'two', /"two" is not allowed/],
    ['replica-count', '1000', /"1000" is not allowed/],
    ['shared-buffers', '256', /"256" is not allowed.*256MB/],
    ['shared-buffers', '256 megs', /"256 megs" is not allowed/],
    ['shared-buffers', '0MB', /"0MB" is not allowed/],
    ['max-connections', '0', /"0" is not allowed/],
    ['max-connections', 'lots', /"lots" is not allowed/],
    ['region', 'atlantis-1', /"atlantis-1" is not allowed/],
    ['image-tag', '17 alpine', /"17 alpine" is not allowed/],
    ['image-tag', '17;id', /"17;id" is not allowed/],
    ['image-tag', '13', /"13" is not allowed\. Allowed: PostgreSQL 14 or later/],
    ['cluster-name', 'Orders', /"Orders" is not allowed/],
    ['cluster-name', 'x'.repeat(64), /"x{64}" is not allowed/],
    ['cluster-name', '../x', /"\.\.\/x" is not allowed/],
    ['request', 'replicas=2', /not JSON/],
    ['request', '{"replicas":2}', /unknown key "replicas"/],
  ])('%s %s', async (name, value, expected) => {
    await expectRefusal({ [name]: value }, [new RegExp(`^${name}: .*${expected.source}`)]);
  });

  test('missing secrets, where they are needed', async () => {
    const none = { 'postgres-password': '', 'replication-password': '', 'ssh-private-key': '' };
    await expectRefusal(none, [
      /^postgres-password: missing/,
      /^replication-password: missing/,
      /^ssh-private-key: missing/,
    ]);
    await expectRefusal(none, [/^ssh-private-key: missing/], { event: opened });
  });

  test('a private key nobody can read, which is not shown', async () => {
    const key =
      '-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n';
    await expectRefusal({ 'ssh-private-key': key }, [
      /^ssh-private-key: ssh-keygen cannot read it/,
    ]);
  });

  test.each(['github-hosted', 'self-hosted'] as const)(
    'a state that would be lost, %s',
    async (runner) => {
      await expectRefusal({ backend: '' }, [/^backend: missing\. Terraform would keep its state/], {
        runnerEnvironment: runner,
      });
    },
  );

  test('everything at once', async () => {
    await expectRefusal(
      {
        'replica-count': 'two',
        region: 'nowhere',
        'max-connections': '0',
        'postgres-password': '',
      },
      [/^replica-count/, /^region/, /^max-connections/, /^postgres-password/],
    );
  });
});
