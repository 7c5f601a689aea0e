import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getOctokit } from '@actions/github';
import { afterEach, describe, expect, test } from 'vitest';
import type { GitHub, GitHubOptions } from './github.ts';
import { startGitHub } from './github.ts';
import type { Access, Permission } from './state.ts';

const running: GitHub[] = [];

afterEach(async () => {
  for (const github of running.splice(0)) await github.stop();
});

async function start(options: GitHubOptions = {}): Promise<GitHub> {
  const github = await startGitHub(options);
  running.push(github);
  return github;
}

type Permissions = Partial<Record<Permission, Access>>;

function connect(github: GitHub, permissions: Permissions, login?: string) {
  const token = github.createToken({ permissions, ...(login === undefined ? {} : { login }) });
  return getOctokit(token, { baseUrl: github.urls.api, request: { retries: 0 } });
}

const repo = { owner: 'acme', repo: 'database' };

function open(github: GitHub): number {
  return github.openPullRequest({ branch: 'more-replicas', title: 'Add a replica' }).payload.number;
}

describe('comments', () => {
  test('are created, read, changed, listed in pages and deleted', async () => {
    const github = await start();
    const octokit = connect(github, { pull_requests: 'write' });
    const issue_number = open(github);
    const created = await octokit.rest.issues.createComment({
      ...repo,
      issue_number,
      body: 'plan',
    });
    expect(created.status).toBe(201);
    expect(created.data.user).toMatchObject({
      login: 'github-actions[bot]',
      type: 'Bot',
      id: 41898282,
    });
    expect(created.data.html_url).toBe(
      `${github.urls.server}/acme/database/pull/1#issuecomment-${created.data.id}`,
    );
    const comment_id = created.data.id;
    const changed = await octokit.rest.issues.updateComment({ ...repo, comment_id, body: 'done' });
    expect(changed.data).toMatchObject({ id: comment_id, body: 'done' });
    expect((await octokit.rest.issues.getComment({ ...repo, comment_id })).data.body).toBe('done');
    for (let index = 0; index < 64; index += 1)
      github.commentAs('bob', issue_number, `note ${index}`);
    const first = await octokit.rest.issues.listComments({ ...repo, issue_number });
    expect(first.data).toHaveLength(30);
    expect(first.headers.link).toMatch(/[?&]page=2>; rel="next".*[?&]page=3>; rel="last"/);
    const all = await octokit.paginate(octokit.rest.issues.listComments, { ...repo, issue_number });
    expect(all).toHaveLength(65);
    expect(all[0]?.id).toBe(comment_id);
    const most = await octokit.rest.issues.listComments({ ...repo, issue_number, per_page: 500 });
    expect(most.data).toHaveLength(65);
    expect(most.headers.link).toBeUndefined();
    expect((await octokit.rest.issues.deleteComment({ ...repo, comment_id })).status).toBe(204);
    await expect(octokit.rest.issues.getComment({ ...repo, comment_id })).rejects.toMatchObject({
      status: 404,
    });
  });

  test.each([
    ['the longest body', 'é'.repeat(65_536), undefined],
    ['astral characters count once', '🐘'.repeat(65_536), undefined],
    ['one character more', 'x'.repeat(65_537), 'Body is too long (maximum is 65536 characters)'],
    ['nothing but blanks', ' \n', "Body can't be blank"],
  ])('%s', async (_case, body, message) => {
    const github = await start();
    const octokit = connect(github, { pull_requests: 'write' });
    const request = octokit.rest.issues.createComment({
      ...repo,
      issue_number: open(github),
      body,
    });
    if (message === undefined) return expect(request).resolves.toMatchObject({ status: 201 });
    return expect(request).rejects.toMatchObject({
      status: 422,
      response: {
        data: {
          message: 'Validation Failed',
          errors: [{ resource: 'IssueComment', code: 'unprocessable', field: 'data', message }],
        },
      },
    });
  });

  test('show a forged author', async () => {
    const github = await start();
    const number = open(github);
    expect(github.commentAs('mallory', number, '<!-- marker -->').user).toMatchObject({
      login: 'mallory',
      type: 'User',
    });
  });
});

describe('tokens', () => {
  test.each<[string, Permissions, number | undefined]>([
    ['pull-requests: write comments on a pull request', { pull_requests: 'write' }, undefined],
    ['issues: write alone does not', { issues: 'write' }, 403],
    ['a read-only token does not', { pull_requests: 'read', issues: 'read' }, 403],
    ['a token without permissions does not', {}, 403],
  ])('%s', async (_case, permissions, status) => {
    const github = await start();
    const octokit = connect(github, permissions);
    const request = octokit.rest.issues.createComment({
      ...repo,
      issue_number: open(github),
      body: 'plan',
    });
    if (status === undefined) return expect(request).resolves.toMatchObject({ status: 201 });
    return expect(request).rejects.toMatchObject({
      status,
      response: {
        headers: { 'x-accepted-github-permissions': 'issues=write; pull_requests=write' },
        data: {
          message: 'Resource not accessible by integration',
          documentation_url: 'https://docs.github.com/rest/issues/comments#create-an-issue-comment',
          status: '403',
        },
      },
    });
  });

  test.each([
    ['no token', undefined, 'Requires authentication'],
    ['a wrong token', 'Bearer ghs_wrong', 'Bad credentials'],
  ])('%s is refused with 401', async (_case, authorization, message) => {
    const github = await start();
    const response = await fetch(`${github.urls.api}/repos/acme/database`, {
      headers: authorization === undefined ? {} : { authorization },
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ message, status: '401' });
  });

  test('read a public repository without any permission, but not a private one', async () => {
    for (const isPrivate of [false, true]) {
      const github = await start({ private: isPrivate });
      const octokit = connect(github, {});
      expect((await octokit.rest.repos.get(repo)).data).toMatchObject({
        full_name: 'acme/database',
        default_branch: 'main',
        private: isPrivate,
      });
      const pulls = octokit.rest.pulls.list(repo);
      if (isPrivate) await expect(pulls).rejects.toMatchObject({ status: 403 });
      else expect((await pulls).data).toEqual([]);
    }
  });

  test("read a workflow's identity only through GraphQL", async () => {
    const github = await start();
    const bot = connect(github, {});
    await expect(bot.rest.users.getAuthenticated()).rejects.toMatchObject({
      status: 403,
      response: { data: { message: 'Resource not accessible by integration' } },
    });
    const viewer = { viewer: { login: 'github-actions[bot]' } };
    expect(await bot.graphql('query { viewer { login } }')).toEqual(viewer);
    expect(await bot.graphql('{viewer{login}}')).toEqual(viewer);
    await expect(bot.graphql('query { viewer { email } }')).rejects.toThrow(/viewer \{ login \}/);
    const person = connect(github, {}, 'carol');
    expect((await person.rest.users.getAuthenticated()).data.login).toBe('carol');
    const enterprise = getOctokit(github.createToken(), { baseUrl: github.enterpriseUrls.api });
    expect(await enterprise.graphql('query Who { viewer { login } }')).toEqual(viewer);
    expect((await enterprise.rest.repos.get(repo)).status).toBe(200);
  });
});

test('answers 404 for unknown resources', async () => {
  const github = await start();
  const octokit = connect(github, { pull_requests: 'write', issues: 'write' });
  for (const path of [
    '/repos/acme/database/nothing',
    '/repos/acme/other',
    '/repos/acme/database/pulls/9',
  ]) {
    await expect(octokit.request(`GET ${path}`)).rejects.toMatchObject({
      status: 404,
      response: { data: { message: 'Not Found', status: '404' } },
    });
  }
});

test('stores issues and labels', async () => {
  const github = await start();
  const octokit = connect(github, { issues: 'write', pull_requests: 'write' });
  const number = open(github);
  const created = await octokit.rest.issues.create({ ...repo, title: 'Drift', labels: ['drift'] });
  expect(created.data.number).toBe(number + 1);
  const creator = 'github-actions[bot]';
  const found = await octokit.rest.issues.listForRepo({ ...repo, labels: 'Drift', creator });
  expect(found.data.map((issue) => issue.number)).toEqual([number + 1]);
  const issue_number = created.data.number;
  await octokit.rest.issues.update({ ...repo, issue_number, state: 'closed', body: 'gone' });
  expect((await octokit.rest.issues.listForRepo({ ...repo, labels: 'drift' })).data).toEqual([]);
  const closed = await octokit.rest.issues.listForRepo({ ...repo, state: 'closed' });
  expect(closed.data[0]).toMatchObject({
    number: issue_number,
    body: 'gone',
    state_reason: 'completed',
  });
  const everything = await octokit.rest.issues.listForRepo({ ...repo, state: 'all' });
  expect(everything.data.map((issue) => issue.pull_request === undefined)).toEqual([true, false]);
  const label = { ...repo, issue_number: number };
  const labels = await octokit.rest.issues.addLabels({ ...label, labels: ['rollout', 'replicas'] });
  expect(labels.data.map(({ name }) => name)).toEqual(['rollout', 'replicas']);
  await octokit.rest.issues.removeLabel({ ...label, name: 'rollout' });
  const left = await octokit.rest.issues.listLabelsOnIssue(label);
  expect(left.data.map(({ name }) => name)).toEqual(['replicas']);
  await expect(
    octokit.rest.issues.removeLabel({ ...label, name: 'rollout' }),
  ).rejects.toMatchObject({
    status: 404,
  });
});

test('creates a missing label only for a token that may write issues', async () => {
  const github = await start();
  const issue_number = open(github);
  const limited = connect(github, { pull_requests: 'write' }).rest.issues;
  const label = { ...repo, issue_number };
  github.label(issue_number, 'known');
  await limited.removeLabel({ ...label, name: 'known' });
  // One missing label makes the whole request fail.
  await expect(limited.addLabels({ ...label, labels: ['known', 'new'] })).rejects.toMatchObject({
    status: 403,
    response: {
      data: {
        message: 'You do not have permission to create labels on this repository.',
        errors: [{ resource: 'Repository', field: 'label', code: 'unauthorized' }],
      },
    },
  });
  expect((await limited.listLabelsOnIssue(label)).data).toEqual([]);
  expect((await limited.addLabels({ ...label, labels: ['Known'] })).data).toHaveLength(1);
  const full = connect(github, { pull_requests: 'write', issues: 'write' }).rest.issues;
  expect((await full.addLabels({ ...label, labels: ['new'] })).data).toHaveLength(2);
});

test('stores commit statuses', async () => {
  const github = await start();
  const octokit = connect(github, { statuses: 'write' });
  const { sha } = github.openPullRequest({ branch: 'b', title: 't' });
  const status = (state: 'pending' | 'success' | 'failure', context: string) =>
    octokit.rest.repos.createCommitStatus({ ...repo, sha, state, context });
  const combine = async () =>
    (await octokit.rest.repos.getCombinedStatusForRef({ ...repo, ref: sha })).data;
  expect((await combine()).state).toBe('pending');
  await status('pending', 'postgres/plan');
  await status('success', 'postgres/plan');
  expect(await combine()).toMatchObject({ state: 'success', total_count: 1 });
  await status('failure', 'postgres/apply');
  expect((await combine()).state).toBe('failure');
  const list = await octokit.rest.repos.listCommitStatusesForRef({ ...repo, ref: sha });
  expect(list.data.map(({ state }) => state)).toEqual(['failure', 'success', 'pending']);
  await expect(
    octokit.rest.repos.createCommitStatus({ ...repo, sha: 'f'.repeat(40), state: 'success' }),
  ).rejects.toThrow(`No commit found for SHA: ${'f'.repeat(40)}`);
});

describe('faults', () => {
  test.each([
    [
      'primary limit',
      { kind: 'primary-limit', resetInSeconds: 60 },
      403,
      /API rate limit exceeded/,
    ],
    [
      'secondary limit',
      { kind: 'secondary-limit', status: 429, retryAfterSeconds: 2 },
      429,
      /secondary rate limit/,
    ],
    ['server error', { kind: 'server-error' }, 500, /Server Error/],
    ['an arbitrary answer', { status: 502, body: { message: 'Bad gateway' } }, 502, /Bad gateway/],
    ['a cut connection', { kind: 'drop' }, 500, /fetch failed|other side closed/],
  ] as const)(
    '%s happens as often as requested, then no more',
    async (_name, effect, status, message) => {
      const github = await start();
      const octokit = connect(github, { pull_requests: 'read' });
      github.failNext({ method: 'GET', path: /\/pulls$/, times: 2, ...effect });
      expect((await octokit.rest.repos.get(repo)).status).toBe(200);
      for (let time = 0; time < 2; time += 1) {
        const error: unknown = await octokit.rest.pulls
          .list(repo)
          .catch((reason: unknown) => reason);
        expect(error).toMatchObject({ status, message: expect.stringMatching(message) });
        if (effect === undefined || !('kind' in effect)) continue;
        const headers = (error as { response?: { headers: Record<string, string> } }).response
          ?.headers;
        if (effect.kind === 'secondary-limit') expect(headers?.['retry-after']).toBe('2');
        if (effect.kind === 'primary-limit') {
          expect(headers?.['x-ratelimit-remaining']).toBe('0');
          expect(Number(headers?.['x-ratelimit-reset'])).toBeGreaterThan(Date.now() / 1000 + 50);
        }
      }
      expect((await octokit.rest.pulls.list(repo)).data).toEqual([]);
    },
  );

  test('a lost answer keeps its effect', async () => {
    const github = await start();
    const octokit = connect(github, { pull_requests: 'write' });
    const issue_number = open(github);
    github.failNext({ method: 'POST', path: /\/comments$/, kind: 'lose-answer' });
    await expect(
      octokit.rest.issues.createComment({ ...repo, issue_number, body: 'plan' }),
    ).rejects.toMatchObject({ status: 500 });
    expect(github.listComments(issue_number).map(({ body }) => body)).toEqual(['plan']);
    expect(github.journal.at(-1)).toMatchObject({
      method: 'POST',
      status: 0,
      body: { body: 'plan' },
    });
  });
});

test('writes every request to its journal', async () => {
  const github = await start();
  const octokit = connect(github, {});
  await octokit.rest.repos.get(repo);
  await octokit.rest.pulls.list({ ...repo, per_page: 5 }).catch(() => undefined);
  expect(github.journal).toMatchObject([
    { method: 'GET', path: '/repos/acme/database', login: 'github-actions[bot]', status: 200 },
    { path: '/repos/acme/database/pulls', query: { per_page: '5' }, status: 403 },
  ]);
});

test('keeps its state across a restart', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'github-'));
  try {
    const stateFile = join(directory, 'state.json');
    const first = await start({ stateFile, repository: 'team/cluster' });
    const token = first.createToken({ permissions: { pull_requests: 'write' } });
    const number = open(first);
    const comment = first.commentAs('bob', number, 'hello');
    await first.stop();
    running.splice(0);
    const second = await start({ stateFile });
    expect(second.repository).toBe('team/cluster');
    const octokit = getOctokit(token, { baseUrl: second.urls.api });
    const target = { owner: 'team', repo: 'cluster', issue_number: number };
    const { data } = await octokit.rest.issues.listComments(target);
    expect(data).toMatchObject([{ id: comment.id, body: 'hello', created_at: comment.created_at }]);
    expect(open(second)).toBe(number + 1);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
