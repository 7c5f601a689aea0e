import { createRequire } from 'node:module';
import { getOctokit } from '@actions/github';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GitHub } from './github.ts';
import { startGitHub } from './github.ts';
import type { MergeMethod } from './state.ts';

/** Recorded webhooks, one entry per kind. */
interface RealEvent {
  readonly name: string;
  readonly examples: { action?: string; pull_request?: object; repository?: object }[];
}

let github: GitHub;
let octokit: ReturnType<typeof getOctokit>;
const repo = { owner: 'acme', repo: 'database' };

beforeAll(async () => {
  github = await startGitHub();
  const token = github.createToken({ permissions: { pull_requests: 'write' } });
  octokit = getOctokit(token, { baseUrl: github.urls.api });
});

afterAll(() => github.stop());

async function findPulls(commit_sha: string): Promise<number[]> {
  const { data } = await octokit.rest.repos.listPullRequestsAssociatedWithCommit({
    ...repo,
    commit_sha,
  });
  return data.map(({ number }) => number);
}

function open(commits = 1): { number: number; head: string } {
  const { payload } = github.openPullRequest({ branch: 'change', title: 'Change', commits });
  return { number: payload.number, head: payload.pull_request.head.sha };
}

describe('pull requests', () => {
  test('run on the merge branch while open', async () => {
    const opened = github.openPullRequest({ branch: 'resize', title: 'Resize', author: 'dave' });
    const { number } = opened.payload;
    expect(opened).toMatchObject({
      name: 'pull_request',
      ref: `refs/pull/${number}/merge`,
      headRef: 'resize',
      baseRef: 'main',
      actor: 'dave',
      withoutSecrets: false,
      payload: { action: 'opened', pull_request: { merged: false, state: 'open' } },
    });
    expect(opened.sha).not.toBe(opened.payload.pull_request.head.sha);
    const pushed = github.pushToPullRequest(number);
    expect(pushed.payload).toMatchObject({
      action: 'synchronize',
      before: opened.payload.pull_request.head.sha,
      after: pushed.payload.pull_request.head.sha,
    });
    expect(pushed.sha).not.toBe(opened.sha);
    const closed = github.close(number);
    expect(closed.payload.pull_request).toMatchObject({
      state: 'closed',
      merged: false,
      merged_at: null,
    });
    const reopened = github.reopen(number);
    expect(reopened.payload).toMatchObject({
      action: 'reopened',
      pull_request: { closed_at: null },
    });
    const read = () => octokit.rest.pulls.get({ ...repo, pull_number: number });
    expect((await read()).data).toMatchObject({ state: 'open', merge_commit_sha: null });
    expect((await read()).data).toMatchObject({ merge_commit_sha: reopened.sha, commits: 2 });
    const files = await octokit.rest.pulls.listFiles({ ...repo, pull_number: number });
    expect(files.data.map(({ filename }) => filename)).toEqual(['.github/workflows/postgres.yml']);
    const listed = await octokit.rest.pulls.list({ ...repo, head: 'acme:resize' });
    expect(listed.data.map((pull) => pull.number)).toEqual([number]);
  });

  test('from a fork name the fork', () => {
    const { payload, withoutSecrets } = github.openPullRequest({
      branch: 'patch-1',
      title: 'Fork',
      author: 'mallory',
      fork: true,
    });
    expect(withoutSecrets).toBe(true);
    expect(payload.pull_request.head).toMatchObject({
      label: 'mallory:patch-1',
      repo: { full_name: 'mallory/database', fork: true },
    });
    expect(payload.repository.full_name).toBe('acme/database');
  });

  test('have at least the members of a real payload', () => {
    const require = createRequire(import.meta.url);
    const events = require('@octokit/webhooks-examples') as RealEvent[];
    const real = events
      .find(({ name }) => name === 'pull_request')
      ?.examples.find(({ action }) => action === 'opened');
    const { payload } = github.openPullRequest({ branch: 'x', title: 'x' });
    for (const part of ['pull_request', 'repository'] as const) {
      const wanted = Object.keys(real?.[part] ?? {});
      expect(wanted.length).toBeGreaterThan(40);
      expect(Object.keys(payload[part])).toEqual(expect.arrayContaining(wanted));
    }
  });
});

describe('a merge', () => {
  test.each<[MergeMethod, number, number]>([
    ['merge', 2, 3],
    ['squash', 2, 1],
    ['rebase', 2, 2],
  ])('by %s produces both events and is found by its commits', async (method, commits, onMain) => {
    const base = github.push().payload.after;
    const { number, head } = open(commits);
    expect(await findPulls(head)).toEqual([number]);
    const { pullRequest, push } = github.merge(number, method);
    expect(pullRequest).toMatchObject({
      name: 'pull_request',
      ref: 'refs/heads/main',
      sha: push.payload.after,
      payload: {
        action: 'closed',
        pull_request: { merged: true, state: 'closed', merge_commit_sha: push.payload.after },
      },
    });
    expect(push).toMatchObject({
      name: 'push',
      ref: 'refs/heads/main',
      sha: push.payload.after,
      headRef: '',
      payload: { ref: 'refs/heads/main', before: base, head_commit: { id: push.payload.after } },
    });
    expect(push.payload.commits).toHaveLength(onMain);
    expect(push.payload.commits.some(({ id }) => id === head)).toBe(method === 'merge');
    for (const { id } of push.payload.commits) expect(await findPulls(id)).toEqual([number]);
    expect(await findPulls(head)).toEqual([number]);
    expect(await findPulls('main')).toEqual([number]);
    expect(() => github.merge(number, method)).toThrow(`Pull request ${number} is not open.`);
  });

  test('is linked to its pull request only after a while', async () => {
    github.delayAssociation(2);
    try {
      const { number } = open();
      const { push } = github.merge(number, 'squash');
      const answers = [];
      for (let time = 0; time < 3; time += 1) answers.push(await findPulls(push.payload.after));
      expect(answers).toEqual([[], [], [number]]);
    } finally {
      github.delayAssociation(0);
    }
  });

  test('is not reported for a closed pull request or a direct push', async () => {
    const { number, head } = open();
    github.close(number);
    expect(await findPulls(head)).toEqual([]);
    expect(await findPulls(github.push().payload.after)).toEqual([]);
    await expect(findPulls('0'.repeat(40))).rejects.toMatchObject({ status: 422 });
  });
});

test('a merge queue merges several pull requests in one push, each found by its own commit', async () => {
  const pulls = [open(), open(2)];
  const base = github.push().payload.after;
  const { groups, merge } = github.queue(pulls.map(({ number }) => number));
  expect(github.schedule().sha).toBe(base);
  const { pullRequests, push } = merge();
  expect(push).toMatchObject({
    actor: 'github-merge-queue[bot]',
    payload: { before: base, after: groups[1]?.payload.merge_group.head_sha },
  });
  expect(push.payload.commits).toHaveLength(2 + 3);
  expect(groups[1]?.payload.merge_group.base_sha).toBe(groups[0]?.payload.merge_group.head_sha);
  for (const [index, { number }] of pulls.entries()) {
    const sha = groups[index]?.payload.merge_group.head_sha ?? '';
    expect(await findPulls(sha)).toEqual([number]);
    expect(pullRequests[index]).toMatchObject({
      sha,
      payload: { action: 'closed', number, pull_request: { merged: true, merge_commit_sha: sha } },
    });
  }
});

test('added and removed labels cause events and appear in the pull request', async () => {
  const { number } = open();
  expect(github.label(number, 'allow-destroy', 'dave')).toMatchObject({
    name: 'pull_request',
    ref: `refs/pull/${number}/merge`,
    actor: 'dave',
    payload: {
      action: 'labeled',
      number,
      label: { name: 'allow-destroy' },
      pull_request: { state: 'open', labels: [{ name: 'allow-destroy' }] },
    },
  });
  const read = async () =>
    (await octokit.rest.pulls.get({ ...repo, pull_number: number })).data.labels;
  expect(await read()).toMatchObject([{ name: 'allow-destroy' }]);
  expect(github.unlabel(number, 'Allow-Destroy').payload).toMatchObject({
    action: 'unlabeled',
    label: { name: 'allow-destroy' },
    pull_request: { labels: [] },
  });
  expect(await read()).toEqual([]);
  expect(() => github.unlabel(number, 'allow-destroy')).toThrow('has no label allow-destroy');
});

test('edits say what changed, and a label after the merge shows a merged pull request', () => {
  github.createBranch('release');
  const before = github.schedule().sha;
  const { number } = open();
  const main = github.push().payload.after;
  expect(github.changeBase(number, 'release')).toMatchObject({
    name: 'pull_request',
    baseRef: 'release',
    payload: {
      action: 'edited',
      changes: { base: { ref: { from: 'main' }, sha: { from: before } } },
      pull_request: { state: 'open', base: { ref: 'release', sha: before } },
    },
  });
  expect(github.retitle(number, 'Better').payload).toMatchObject({
    action: 'edited',
    changes: { title: { from: 'Change' } },
    pull_request: { title: 'Better' },
  });
  const { push } = github.merge(number, 'squash');
  expect(push).toMatchObject({ ref: 'refs/heads/release', payload: { before, after: push.sha } });
  expect(github.schedule().sha).toBe(main);
  expect(github.label(number, 'late').payload).toMatchObject({
    action: 'labeled',
    pull_request: { state: 'closed', merged: true, merge_commit_sha: push.sha },
  });
  expect(() => github.changeBase(number, 'main')).toThrow(`Pull request ${number} is not open.`);
});

test('a pull request can be opened from an existing commit', async () => {
  github.createBranch('stable');
  const head = github.push().payload.after;
  const { payload } = github.openPullRequest({
    branch: 'copy',
    title: 'Copy',
    base: 'stable',
    head,
  });
  expect(payload.pull_request).toMatchObject({ head: { sha: head }, base: { ref: 'stable' } });
  // It is on the default branch, and no pull request added it there.
  expect(await findPulls(head)).toEqual([]);
});

test('branches return their newest commit', async () => {
  const token = github.createToken({ permissions: { contents: 'read' } });
  const { rest } = getOctokit(token, { baseUrl: github.urls.api });
  const branch = 'team/change';
  const { payload } = github.openPullRequest({ branch, title: 'Change' });
  expect((await rest.repos.getBranch({ ...repo, branch })).data).toMatchObject({
    name: branch,
    commit: { sha: payload.pull_request.head.sha },
    protected: false,
  });
  github.openPullRequest({ branch: 'forked', title: 'Fork', author: 'mallory', fork: true });
  await expect(rest.repos.getBranch({ ...repo, branch: 'forked' })).rejects.toMatchObject({
    status: 404,
    response: { data: { message: 'Branch not found' } },
  });
});

test('lists return only pull requests if issues are disabled', async () => {
  const token = github.createToken({ permissions: { issues: 'write' } });
  const { rest } = getOctokit(token, { baseUrl: github.urls.api });
  const { number } = github.openIssueAs('carol', { title: 'Mine', body: 'text' });
  github.setIssues(false);
  try {
    const gone = { status: 410, message: /^Issues has been disabled in this repository\./ };
    for (const request of [
      rest.issues.create({ ...repo, title: 'x' }),
      rest.issues.get({ ...repo, issue_number: number }),
      rest.issues.update({ ...repo, issue_number: number, body: 'x' }),
    ]) {
      await expect(request).rejects.toMatchObject({
        ...gone,
        message: expect.stringMatching(gone.message),
      });
    }
    const { data } = await rest.issues.listForRepo({ ...repo, state: 'all' });
    expect(data.every(({ pull_request }) => pull_request !== undefined)).toBe(true);
  } finally {
    github.setIssues(true);
  }
});

describe('other events', () => {
  test('merge_group names the queue branch', () => {
    const { number } = open();
    const group = github.mergeGroup(number);
    const { base_sha, head_ref, head_sha } = group.payload.merge_group;
    expect(head_ref).toBe(`refs/heads/gh-readonly-queue/main/pr-${number}-${base_sha}`);
    expect(group).toMatchObject({ name: 'merge_group', ref: head_ref, sha: head_sha });
    expect(group.payload.action).toBe('checks_requested');
  });

  test('repository_dispatch carries the request', () => {
    const request = { instance_type: 't2.small', replica_count: 2, region: 'us-east-1' };
    const event = github.dispatch('generate-terraform', request);
    expect(event).toMatchObject({
      name: 'repository_dispatch',
      ref: 'refs/heads/main',
      payload: { action: 'generate-terraform', branch: 'main', client_payload: request },
    });
    const many = Object.fromEntries(
      Array.from({ length: 11 }, (_, index) => [`key${index}`, index]),
    );
    expect(() => github.dispatch('generate-terraform', many)).toThrow(
      'No more than 10 properties are allowed; 11 were supplied.',
    );
  });

  test('schedule and workflow_dispatch run on the default branch', () => {
    const head = github.push().payload.after;
    expect(github.schedule('0 4 * * 1')).toMatchObject({
      name: 'schedule',
      sha: head,
      payload: { schedule: '0 4 * * 1', repository: { full_name: 'acme/database' } },
    });
    expect(github.workflowDispatch({ command: 'plan' })).toMatchObject({
      name: 'workflow_dispatch',
      sha: head,
      payload: { inputs: { command: 'plan' }, ref: 'refs/heads/main' },
    });
  });
});
