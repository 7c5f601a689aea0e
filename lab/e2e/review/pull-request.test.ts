import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { WorkflowEvent } from '../../github/event.ts';
import type { JobOptions, JobResult } from '../../runner/job.ts';
import type { World } from '../../world.ts';
import { closeStage, openPullRequest, openStage, requireSuccess } from '../stage.ts';

// The comment on a pull request, with faults of GitHub. Nothing is deployed.

type Inputs = Readonly<Record<string, string>>;

const BASE: Inputs = { 'instance-type': 't3.small', 'replica-count': '1' };

let world: World;
beforeAll(async () => {
  world = await openStage();
});
afterAll(() => closeStage(world));
beforeEach(() => world.github.clearFaults());

const run = (
  event: WorkflowEvent,
  inputs: Inputs = BASE,
  options: Partial<JobOptions> = {},
): Promise<JobResult> => world.run(event, inputs, options);

const listBodies = (number: number): string[] =>
  world.github.listComments(number).map(({ body }) => body ?? '');

/** Two jobs of one run need two folders. */
const inFolder = (name: string): Partial<JobOptions> => ({
  workDirectory: join(world.folder, `runner-${name}`),
});

describe('the comment', () => {
  test('says that a plan is in progress before it shows the plan', async () => {
    const { event, number } = openPullRequest(world, 'phases');
    const before = world.github.journal.length;
    requireSuccess(await run(event));
    const said = world.github.journal
      .slice(before)
      .filter(
        ({ method, path }) => ['POST', 'PATCH'].includes(method) && path.includes('/comments'),
      )
      .map(({ body }) => String((body as { body?: unknown }).body));
    expect(said[0]).toContain('planning …');
    expect(said.at(-1)).toMatch(/planned · new cluster of 2 nodes/);
    expect(listBodies(number)).toHaveLength(1);
  });

  test('does not use a marker written by someone else', async () => {
    const { event, number } = openPullRequest(world, 'spoofed');
    requireSuccess(await run(event));
    const [own] = listBodies(number);
    const marker = own?.split('\n')[0] ?? '';
    expect(marker).toMatch(/^<!-- postgres-cluster-action/);
    const forged = `${marker}\nNothing to see here.`;
    const { number: other, event: opened } = openPullRequest(world, 'spoofed-first');
    world.github.commentAs('mallory', other, forged);
    requireSuccess(await run(opened));
    const [theirs, ours, ...more] = listBodies(other);
    expect(theirs).toBe(forged);
    expect(ours).toContain('new cluster of');
    expect(more).toEqual([]);
  });

  test('is forbidden for a fork: the summary has the report and the job continues', async () => {
    const event = world.github.openPullRequest({
      branch: 'forked',
      title: 'From a fork',
      author: 'mallory',
      fork: true,
    });
    const { number } = event.payload.pull_request;
    const token = world.github.createToken({
      permissions: { contents: 'read', pull_requests: 'read', issues: 'read', checks: 'read' },
    });
    // GitHub withholds secrets from a fork's run.
    const none = {
      'postgres-password': '',
      'replication-password': '',
      'ssh-private-key': '',
    };
    const result = requireSuccess(await run(event, { ...BASE, ...none }, { token }));
    expect(listBodies(number)).toEqual([]);
    expect(result.summary).toMatch(/new cluster of 2 nodes/);
    expect(result.annotations.map(({ message }) => message).join('\n')).toContain('github-token');
  });

  test.each([
    ['a server error', { kind: 'server-error', times: 2 }],
    ['a used-up quota', { kind: 'primary-limit', resetInSeconds: 2 }],
    ['a secondary limit', { kind: 'secondary-limit', retryAfterSeconds: 2 }],
    ['a secondary limit with 429', { kind: 'secondary-limit', status: 429, retryAfterSeconds: 2 }],
    ['a lost answer', { kind: 'lose-answer' }],
  ] as const)('survives %s', async (name, fault) => {
    const { event, number } = openPullRequest(world, `fault-${name.replaceAll(' ', '-')}`);
    world.github.failNext({ method: 'POST', path: /\/comments$/, ...fault });
    world.github.failNext({ method: 'PATCH', path: /\/comments\/\d+$/, ...fault });
    world.github.failNext({ method: 'POST', path: /\/check-runs$/, ...fault });
    requireSuccess(await run(event));
    expect(listBodies(number)).toHaveLength(1);
    expect(listBodies(number)[0]).toMatch(/new cluster of 2 nodes/);
    const { sha } = event.payload.pull_request.head;
    expect(world.github.listCheckRuns(sha).at(-1)?.conclusion).toBe('success');
  });

  test('is missing if GitHub is down, but the plan succeeds', async () => {
    const { event, number } = openPullRequest(world, 'down');
    world.github.failNext({ path: /./, kind: 'server-error', times: 1_000 });
    const result = requireSuccess(await run(event));
    world.github.clearFaults();
    expect(listBodies(number)).toEqual([]);
    expect(result.summary).toMatch(/new cluster of 2 nodes/);
  });

  test('of an older run never replaces that of a newer one', async () => {
    const { event, number } = openPullRequest(world, 'overtaken');
    const pushed = world.github.pushToPullRequest(number);
    const [newer, older] = [Date.now() + 1_000, Date.now()];
    requireSuccess(await run(pushed, { ...BASE, 'replica-count': '0' }, { runId: newer }));
    const [before] = listBodies(number);
    requireSuccess(await run(event, BASE, { runId: older }));
    expect(listBodies(number)).toEqual([before]);
  });

  test('says that a plan was cancelled', async () => {
    const { event, number } = openPullRequest(world, 'cancelled');
    const controller = new AbortController();
    const result = await run(event, BASE, {
      signal: controller.signal,
      onLine: (line) => {
        if (line.includes('[group]Plan')) controller.abort();
      },
    });
    expect(result.conclusion).toBe('cancelled');
    expect(listBodies(number)[0]).toContain('cancelled while planning');
  });
});

describe('two clusters in a matrix, at the same moment', () => {
  const clusters = ['orders', 'billing'];
  const plan = (event: WorkflowEvent, inputs: Inputs) =>
    Promise.all(
      clusters.map((name) =>
        run(
          event,
          {
            ...BASE,
            ...inputs,
            'cluster-name': name,
            'backend-config': JSON.stringify({
              ...world.state.backendConfig,
              key: `${name}.tfstate`,
            }),
          },
          inFolder(name),
        ),
      ),
    );

  test('have a comment each', async () => {
    const { event, number } = openPullRequest(world, 'matrix');
    for (const result of await plan(event, {})) requireSuccess(result);
    const bodies = listBodies(number);
    expect(bodies).toHaveLength(2);
    for (const name of clusters) {
      expect(bodies.filter((body) => body.includes(`\`${name}\``))).toHaveLength(1);
    }
  });

  test('or a section each of the same comment', async () => {
    const { event, number } = openPullRequest(world, 'matrix-shared');
    for (const result of await plan(event, { comment: 'shared' })) requireSuccess(result);
    const [body, ...others] = listBodies(number);
    expect(others).toEqual([]);
    for (const name of clusters) {
      expect(body).toMatch(new RegExp(`\`${name}\` planned · new cluster of \\d+ node`));
    }
  });
});
