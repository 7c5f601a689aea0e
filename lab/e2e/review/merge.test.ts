import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Rule } from '../../aws/world.ts';
import { query } from '../../client.ts';
import type { JobOptions, JobResult } from '../../runner/job.ts';
import type { World } from '../../world.ts';
import {
  closeStage,
  openPullRequest,
  openStage,
  readProof,
  readServers,
  requireSuccess,
} from '../stage.ts';

// What was reviewed is what is applied: one small cluster, and everything that can come between.

type Inputs = Readonly<Record<string, string>>;

const REVIEW_KEY = 'b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184';
const BASE: Inputs = {
  'instance-type': 't3.small',
  'replica-count': '1',
  'on-plan-change': 'fail',
  'review-key': REVIEW_KEY,
};
const withSettings = (settings: string): Inputs => ({ ...BASE, settings });

let world: World;
beforeAll(async () => {
  world = await openStage();
});
afterAll(() => closeStage(world));

/** Opens a pull request and has it planned. */
async function propose(branch: string, inputs: Inputs, options: Partial<JobOptions> = {}) {
  const { event, number } = openPullRequest(world, branch);
  const planned = await world.run(event, inputs, options);
  return { number, planned, head: event.payload.pull_request.head.sha };
}

/** Merges it and deploys the push. */
async function merge(number: number, inputs: Inputs, options: Partial<JobOptions> = {}) {
  const { push } = world.github.merge(number, 'squash');
  const deployed = await world.run(push, inputs, options);
  return { deployed, push };
}

const readComment = (number: number): string => world.github.listComments(number)[0]?.body ?? '';
const listErrors = (result: JobResult): string =>
  result.annotations.map(({ message }) => message).join('\n');
const isClientRule = ({ egress, from, cidrIpv4 }: Rule): boolean =>
  !egress && from === 5432 && cidrIpv4 !== null;
const readCloud = (): string => JSON.stringify(world.aws.tables);
const askPrimary = (sql: string, result: JobResult): Promise<string> =>
  query(readServers(world, result).primary, sql);

/** Changes the description of the clients' rule behind Terraform's back. */
async function editRule(text: string): Promise<{ before: string; restore: () => Promise<void> }> {
  const describe = (value: string) =>
    world.aws.edit(({ rules }) => {
      const rule = Object.values(rules).find(isClientRule);
      if (!rule) throw new Error('there is no rule for clients');
      rule.description = value;
    });
  const before = Object.values(world.aws.tables.rules).find(isClientRule)?.description ?? '';
  await describe(text);
  return { before, restore: () => describe(before) };
}

let made: JobResult;

describe('reviewed is applied', () => {
  test('what the pull request showed is applied, and both say so with the commit', async () => {
    const { number, planned, head } = await propose('create', BASE);
    requireSuccess(planned);
    const checks = world.github.listCheckRuns(head);
    expect(checks.map(({ name, conclusion }) => [name, conclusion])).toEqual([
      ['PostgreSQL plan: postgres', 'success'],
    ]);
    expect(checks[0]?.output.title).toMatch(/\d+ to add/);
    const { deployed, push } = await merge(number, BASE);
    made = requireSuccess(deployed);
    expect(deployed.outputs['plan-digest']).toBe(planned.outputs['plan-digest']);
    expect(readComment(number)).toContain(head.slice(0, 7));
    const after = (push.payload as { after: string }).after;
    expect(
      world.github.listCheckRuns(after).map(({ name, conclusion }) => [name, conclusion]),
    ).toEqual([['PostgreSQL deploy: postgres', 'success']]);
    expect(readProof(deployed)).toHaveLength(2);
  });

  test('a change made between review and merge is refused, shown, and nothing is touched', async () => {
    const wanted = withSettings('work_mem = 8MB');
    const { number, planned } = await propose('work-mem', wanted);
    requireSuccess(planned);
    // Somebody edits a rule by hand meanwhile.
    const { before, restore } = await editRule('changed by hand');
    expect(before).not.toBe('changed by hand');
    const cloud = readCloud();
    const { deployed, push } = await merge(number, wanted);
    expect(deployed.conclusion).toBe('failure');
    expect(listErrors(deployed)).toMatch(
      /security_group_ingress_rule\.clients.*description would change/,
    );
    expect(readComment(number)).toMatch(/aws\\?_vpc.*ingress.*clients/s);
    expect(readCloud()).toBe(cloud);
    expect(await askPrimary('SHOW work_mem', made)).toBe('4MB');
    // Once it is as it was, the very same job goes through.
    await restore();
    requireSuccess(await world.run(push, wanted, { runAttempt: 2 }));
    expect(await askPrimary('SHOW work_mem', made)).toBe('8MB');
  });

  test('inputs that differ from those reviewed are refused by name', async () => {
    const { number } = await propose('reviewed-16', withSettings('work_mem = 16MB'));
    const { deployed } = await merge(number, withSettings('work_mem = 1GB'));
    expect(deployed.conclusion).toBe('failure');
    expect(listErrors(deployed)).toMatch(/work_mem.*1GB.*16MB/s);
    expect(await askPrimary('SHOW work_mem', made)).toBe('8MB');
  });

  test('a merge that nobody reviewed is refused; on-plan-change: apply takes it with a warning', async () => {
    const wanted = withSettings('work_mem = 12MB');
    const { number } = openPullRequest(world, 'unseen');
    const { deployed, push } = await merge(number, wanted);
    expect(deployed.conclusion).toBe('failure');
    expect(listErrors(deployed)).toContain('Nothing was reviewed');
    const loose = { ...wanted, 'on-plan-change': 'apply' };
    const result = requireSuccess(await world.run(push, loose, { runAttempt: 2 }));
    expect(listErrors(result)).toContain('Applied all the same');
    expect(await askPrimary('SHOW work_mem', made)).toBe('12MB');
  });
});
