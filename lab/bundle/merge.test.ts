import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import type { WorkflowEvent } from '../github/event.ts';
import { chooseRows } from '../nightly.ts';
import type { JobOptions, JobResult } from '../runner/job.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// Which review applies to a merge. Nothing is ever applied: every apply fails immediately.

const KEY = 'b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184';
const PLAN = 'PostgreSQL plan: postgres';
const DEPLOY = 'PostgreSQL deploy: postgres';
/** The error with which the terraform on PATH ends an apply. */
const APPLIED = 'this test applies nothing';

type Inputs = Readonly<Record<string, string>>;

/** The message about a difference from the review. */
const DIFFERS = /would be created|would no longer be created/;

/** The inputs of the merge. */
const WANTED: Inputs = { 'review-key': KEY, 'on-plan-change': 'fail' };
/** Other inputs, for another review. */
const OTHER: Inputs = { ...WANTED, 'replica-count': '1' };

// Each test runs several jobs, one after the other.
vi.setConfig({ testTimeout: 300_000 });

let bench: Bench;
let aws: Aws;
let folder: string;
let path: string;
let runs = 1000;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'merge-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'merge-test', instances: 'none', directory: join(folder, 'aws') }),
  ]);
  const refusal = `if [ "$1" = apply ]; then echo 'Error: ${APPLIED}' >&2; exit 1; fi`;
  path = reachAws({ folder, reattach: aws.reattach, before: refusal });
  bench.github.createBranch('release');
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a job with its own number, or as a further attempt of an earlier one. */
function run(event: WorkflowEvent, inputs: Inputs, options: Partial<JobOptions> = {}) {
  return bench.run(event, inputs, { path, runId: ++runs, ...options });
}

async function plan(event: WorkflowEvent, inputs: Inputs, options: Partial<JobOptions> = {}) {
  const result = await run(event, inputs, options);
  expect(listErrors(result)).toEqual([]);
  return result;
}

/** Deploys a merge up to its apply: returns `APPLIED`, or why it was stopped. */
async function deploy(
  event: WorkflowEvent,
  inputs: Inputs,
  options: Partial<JobOptions> = {},
): Promise<string> {
  const errors = listErrors(await run(event, inputs, options)).join('\n');
  return errors.includes(APPLIED) ? APPLIED : errors;
}

let branches = 0;
function open(options: { base?: string; head?: string; fork?: boolean } = {}) {
  const branch = `change-${++branches}`;
  const event = bench.github.openPullRequest({ branch, title: branch, ...options });
  const { number, pull_request: pull } = event.payload;
  return { event, number, head: pull.head.sha };
}

const readComment = (number: number): string => bench.github.listComments(number)[0]?.body ?? '';
const listNotices = ({ annotations }: JobResult): string[] =>
  annotations.filter(({ level }) => level === 'notice').map(({ message }) => message);
const listRecords = (sha: string) =>
  bench.github.listCheckRuns(sha).filter(({ name }) => name === PLAN);

describe('a review of a pull request', () => {
  test.each(chooseRows(['squash'], ['merge', 'rebase']))(
    'counts for its merge by %s',
    async (method) => {
      const { event, number } = open();
      const pushed = bench.github.pushToPullRequest(number);
      await plan(event, OTHER);
      await plan(pushed, WANTED);
      const { push } = bench.github.merge(number, method);
      expect(await deploy(push, OTHER)).toMatch(/would no longer be/);
      expect(await deploy(push, WANTED, { runAttempt: 2 })).toBe(APPLIED);
    },
  );

  test('is not replaced by a pull request that is opened from the commit of a stopped merge', async () => {
    const { event, number } = open();
    await plan(event, OTHER);
    const { push } = bench.github.merge(number, 'squash');
    const runId = ++runs;
    expect(await deploy(push, WANTED, { runId })).toMatch(DIFFERS);
    const late = open({ base: 'release', head: push.sha });
    await plan(late.event, WANTED);
    expect(listRecords(push.sha)).toHaveLength(1);
    const stopped = await deploy(push, WANTED, { runId, runAttempt: 2 });
    expect(stopped).toMatch(DIFFERS);
  });

  test('does not count for another pull request with the same head', async () => {
    const { event, number, head } = open();
    await plan(event, OTHER);
    const twin = open({ base: 'release', head });
    await plan(twin.event, WANTED);
    expect(listRecords(head)).toHaveLength(2);
    const { push } = bench.github.merge(number, 'squash');
    expect(await deploy(push, WANTED)).toMatch(DIFFERS);
  });

  test('does not count after a change of base, until the new base is planned', async () => {
    const { event, number } = open({ base: 'release' });
    await plan(event, WANTED);
    bench.github.changeBase(number, 'main');
    const { push } = bench.github.merge(number, 'squash');
    expect(await deploy(push, WANTED)).toMatch(
      /planned for a merge into release, and this is one into main/,
    );
    const next = open({ base: 'release' });
    await plan(next.event, OTHER);
    const moved = bench.github.changeBase(next.number, 'main');
    expect(moved.payload).toMatchObject({
      action: 'edited',
      changes: { base: { ref: { from: 'release' } } },
    });
    await plan(moved, WANTED);
    expect(await deploy(bench.github.merge(next.number, 'squash').push, WANTED)).toBe(APPLIED);
  });

  test('does not count if an older run is repeated after a change of base', async () => {
    const { event, number } = open({ base: 'release' });
    const runId = ++runs;
    await plan(event, OTHER, { runId });
    const edited = bench.github.changeBase(number, 'main');
    await plan(edited, OTHER);
    await plan(event, WANTED, { runId, runAttempt: 2 });
    expect(readComment(number)).toContain('aws_instance.node["2"]');
    expect(readComment(number)).not.toContain('aws_instance.node["3"]');
    expect(await deploy(bench.github.merge(number, 'squash').push, WANTED)).toMatch(DIFFERS);
  });

  test('does not count if its run is repeated after the merge', async () => {
    const { event, number, head } = open();
    const runId = ++runs;
    await plan(event, OTHER, { runId });
    const { push } = bench.github.merge(number, 'squash');
    expect(await deploy(push, WANTED)).toMatch(DIFFERS);
    const said = readComment(number);
    const repeated = await plan(event, WANTED, { runId, runAttempt: 2 });
    expect(listNotices(repeated).join()).toMatch(/#\d+ is merged/);
    expect(listRecords(head)).toHaveLength(1);
    expect(readComment(number)).toBe(said);
    expect(await deploy(push, WANTED, { runAttempt: 2 })).toMatch(DIFFERS);
  });

  test('does not count if the commit of an older merge is pushed again', async () => {
    const { event, number } = open();
    await plan(event, WANTED);
    const { push } = bench.github.merge(number, 'merge');
    const [first] = push.payload.commits;
    const again = { ...push, sha: first?.id ?? '' };
    expect(await deploy(again, WANTED)).toMatch(/was merged as [0-9a-f]{7}, not as this commit/);
    expect(await deploy(push, WANTED)).toBe(APPLIED);
  });
});

describe('a merge queue', () => {
  test('plans what its push applies', async () => {
    const { number, event } = open();
    await plan(event, OTHER);
    const { groups, merge } = bench.github.queue([number]);
    for (const group of groups) await plan(group, WANTED);
    const { push } = merge();
    expect(await deploy(push, OTHER)).toMatch(/would no longer be/);
    expect(await deploy(push, WANTED, { runAttempt: 2 })).toBe(APPLIED);
  });

  test('gets no further review from a repeated run after the merge', async () => {
    const { number } = open();
    const { groups, merge } = bench.github.queue([number]);
    const runId = ++runs;
    for (const group of groups) await plan(group, OTHER, { runId });
    const { push } = merge();
    expect(await deploy(push, WANTED)).toMatch(DIFFERS);
    for (const group of groups) {
      const repeated = await plan(group, WANTED, { runId, runAttempt: 2 });
      expect(listNotices(repeated).join()).toMatch(/#\d+ is merged/);
      // A run that cannot tell that it is too late.
      const { merge_group, ...payload } = group.payload;
      const nameless = { ...merge_group, head_ref: 'refs/heads/gh-readonly-queue/main/unknown' };
      await waitForNextSecond();
      const unaware = { ...group, payload: { ...payload, merge_group: nameless } };
      await plan(unaware, WANTED, { runId, runAttempt: 3 });
    }
    expect(listRecords(push.sha)).toHaveLength(2);
    expect(await deploy(push, WANTED, { runAttempt: 2 })).toMatch(DIFFERS);
  });
});

/** GitHub reports the time of a push in whole seconds. */
async function waitForNextSecond(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, 1_100);
  return promise;
}

test('a review is spent with its commit, whichever record is found', async () => {
  const { event, number } = open();
  await plan(event, WANTED);
  const { push } = bench.github.merge(number, 'squash');
  expect(await deploy(push, WANTED)).toBe(APPLIED);
  const [begun] = bench.github.listCheckRuns(push.sha).filter(({ name }) => name === DEPLOY);
  const identity = begun?.external_id?.split(':')[0];
  // Regardless of what it applied.
  const externalId = `${identity}:${'0'.repeat(64)}`;
  bench.github.checkAs('github-actions', { sha: push.sha, name: DEPLOY, externalId });
  expect(await deploy(push, WANTED, { runAttempt: 2 })).toMatch(/was deployed already/);
});

test('nothing is applied if the review could not be marked as spent', async () => {
  const { event, number } = open();
  await plan(event, WANTED);
  const { push } = bench.github.merge(number, 'squash');
  const token = bench.github.createToken({
    permissions: { contents: 'read', pull_requests: 'write', checks: 'read' },
  });
  expect(await deploy(push, WANTED, { token })).toMatch(
    /The start of the apply could not be recorded[\s\S]*Nothing was changed[\s\S]*checks: write/,
  );
  expect(await deploy(push, WANTED, { runAttempt: 2 })).toBe(APPLIED);
});

describe('a pull request that is edited', () => {
  test('is planned again for its new base, but not after other edits', async () => {
    const { event, number } = open();
    await plan(event, WANTED);
    const before = bench.github.journal.length;
    const retitled = await plan(bench.github.retitle(number, 'Better'), OTHER);
    expect(listNotices(retitled).join()).toContain('changes no plan');
    expect(bench.github.journal).toHaveLength(before);
    await plan(bench.github.changeBase(number, 'release'), OTHER);
    expect(readComment(number)).toContain('aws_instance.node["2"]');
    expect(readComment(number)).not.toContain('aws_instance.node["3"]');
  });
});

describe('a label', () => {
  test.each([
    ['merged', (number: number) => void bench.github.merge(number, 'squash')],
    ['closed', (number: number) => void bench.github.close(number)],
  ])('on a pull request that is %s changes nothing', async (state, end) => {
    const { event, number, head } = open();
    await plan(event, WANTED);
    end(number);
    const said = readComment(number);
    const before = bench.github.journal.length;
    for (const labeled of [
      bench.github.label(number, 'late'),
      bench.github.unlabel(number, 'late'),
    ]) {
      const result = await plan(labeled, OTHER);
      expect(listNotices(result).join()).toContain(`#${number} is ${state}`);
    }
    expect(bench.github.journal.slice(before)).toEqual([]);
    expect(readComment(number)).toBe(said);
    expect(listRecords(head)).toHaveLength(1);
  });
});

describe('a signature', () => {
  const UNSIGNED: Inputs = { ...WANTED, 'review-key': '' };
  test.each([
    [
      'that is missing although the merge has a key',
      UNSIGNED,
      WANTED,
      /had no review-key.*pull requests/s,
    ],
    [
      'by another key',
      { ...WANTED, 'review-key': `${KEY}x` },
      WANTED,
      /had another review-key.*same/s,
    ],
    ['although the merge has no key', WANTED, UNSIGNED, /is signed.*has no review-key/s],
  ])('%s stops the merge', async (_, reviewed, merged, reason) => {
    const { event, number } = open();
    await plan(event, reviewed);
    expect(await deploy(bench.github.merge(number, 'squash').push, merged)).toMatch(reason);
  });

  test('that is required makes an empty secret an error', async () => {
    const required: Inputs = { ...UNSIGNED, 'require-signature': 'true' };
    const { event, number, head } = open();
    const message = /^review-key: missing\. .*require-signature/;
    expect(listErrors(await run(event, required))).toEqual([expect.stringMatching(message)]);
    const { push } = bench.github.merge(number, 'squash');
    expect(await deploy(push, required)).toMatch(message);
    // Both say so, and leave no record that a merge could use.
    expect(readComment(number)).toContain('review-key: missing');
    const checks = [head, (push.payload as { after: string }).after].flatMap((commit) =>
      bench.github.listCheckRuns(commit),
    );
    expect(checks.map(({ name, conclusion }) => [name, conclusion])).toEqual([[PLAN, 'failure']]);
    expect(checks[0]?.output.text ?? null).toBeNull();
  });

  test('that is required is not required of a fork, whose plan applies to no merge', async () => {
    const required: Inputs = { ...WANTED, 'require-signature': 'true' };
    const { event, number } = open({ fork: true });
    await plan(event, { ...required, 'review-key': '' });
    const { push } = bench.github.merge(number, 'squash');
    // GitHub gives a fork no token that could store a record, signed or not.
    expect(await deploy(push, required)).toMatch(/^Nothing was reviewed at/);
  });
});
