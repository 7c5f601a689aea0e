import { getOctokit } from '@actions/github';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GitHub, startGitHub } from './github.ts';
import type { Access, Permission } from './state.ts';

const repo = { owner: 'acme', repo: 'database' };
let github: GitHub;
let head_sha: string;
beforeEach(async () => {
  github = await startGitHub();
  head_sha = github.openPullRequest({ branch: 'b', title: 't' }).payload.pull_request.head.sha;
});
afterEach(() => github.stop());

function connect(permissions: Partial<Record<Permission, Access>>, login?: string) {
  const token = github.createToken({ permissions, ...(login === undefined ? {} : { login }) });
  return getOctokit(token, { baseUrl: github.urls.api, request: { retries: 0 } });
}

const output = { title: 'Replicating', summary: '2 replicas' };

test('stores check runs', async () => {
  const octokit = connect({ checks: 'write' });
  const run = await octokit.rest.checks.create({
    ...repo,
    head_sha,
    name: 'proof',
    status: 'in_progress',
    details_url: 'https://example.com',
  });
  expect(run).toMatchObject({
    status: 201,
    data: { conclusion: null, app: { id: 15_368, slug: 'github-actions' } },
  });
  // A workflow's token can only link to GitHub's own page.
  expect(run.data.details_url).toBe(run.data.html_url);
  const check_run_id = run.data.id;
  const done = await octokit.rest.checks.update({
    ...repo,
    check_run_id,
    conclusion: 'success',
    output,
  });
  expect(done.data).toMatchObject({ status: 'completed', conclusion: 'success' });
  const read = await octokit.rest.checks.get({ ...repo, check_run_id });
  expect(read.data.output).toMatchObject(output);
});

test('lists check runs newest first, the latest of each app by default', async () => {
  const octokit = connect({ checks: 'write' });
  const app = connect({ checks: 'write' }, 'other[bot]');
  for (const client of [octokit, app, octokit]) {
    await client.rest.checks.create({ ...repo, head_sha, name: 'proof' });
  }
  await octokit.rest.checks.create({ ...repo, head_sha, name: 'plan' });
  const list = async (filter: object) => {
    const { data } = await octokit.rest.checks.listForRef({ ...repo, ref: 'b', ...filter });
    expect(data.total_count).toBe(data.check_runs.length);
    return data.check_runs.map(({ name, app }) => `${name} ${app?.slug}`);
  };
  expect(await list({})).toEqual(['plan github-actions', 'proof github-actions', 'proof other']);
  const all = { check_name: 'proof', filter: 'all' };
  expect(await list(all)).toEqual(['proof github-actions', 'proof other', 'proof github-actions']);
  expect(await list({ ...all, app_id: 15_368 })).toHaveLength(2);
});

test('adds check runs of every workflow to the first suite of the commit', async () => {
  const first = github.startWorkflow(head_sha, { job: 'build' });
  const second = github.startWorkflow(head_sha, { job: 'proof' });
  expect(first.check_suite).not.toEqual(second.check_suite);
  const octokit = connect({ checks: 'write' });
  const other = connect({ checks: 'write' }, 'other[bot]');
  const create = (client: typeof octokit) =>
    client.rest.checks.create({ ...repo, head_sha, name: 'proof' });
  for (const run of [await create(octokit), await create(octokit)]) {
    expect(run.data.check_suite).toEqual(first.check_suite);
  }
  expect((await create(other)).data.check_suite).not.toEqual(first.check_suite);
  const list = async (suite: typeof first, filter: 'all' | 'latest') => {
    const { data } = await octokit.rest.checks.listForSuite({
      ...repo,
      check_suite_id: suite.check_suite?.id ?? 0,
      filter,
    });
    return data.check_runs.map((run) => run.name);
  };
  expect(await list(first, 'all')).toEqual(['proof', 'proof', 'build']);
  expect(await list(first, 'latest')).toEqual(['proof', 'build']);
  expect(await list(second, 'all')).toEqual(['proof']);
  // A job with the same name in another suite does not count for "the latest" of this suite.
  const { data } = await octokit.rest.checks.listForRef({ ...repo, ref: 'b', check_name: 'proof' });
  expect(data.check_runs.map(({ app }) => app?.slug)).toEqual([
    'other',
    'github-actions',
    'github-actions',
  ]);
});

test.each([
  ['a conclusion is missing', { status: 'completed' }, /"conclusion" wasn't supplied/],
  ['the output has no summary', { output: { title: 'x' } }, /"summary" wasn't supplied/],
  [
    'a text has too many characters',
    { output: { ...output, text: 'x'.repeat(65_536) } },
    /Only 65535 characters are allowed; 65536 were supplied/,
  ],
  [
    'a summary has too many bytes',
    { output: { ...output, summary: 'é'.repeat(40_000) } },
    /summary exceeds a maximum bytesize of 65535/,
  ],
])('refuses a check run if %s, and stores nothing', async (_case, body, message) => {
  const octokit = connect({ checks: 'write' });
  const request = octokit.request('POST /repos/{owner}/{repo}/check-runs', {
    ...repo,
    head_sha,
    name: 'proof',
    ...body,
  } as never);
  await expect(request).rejects.toMatchObject({ status: 422 });
  await expect(request).rejects.toThrow(message);
  expect(github.listCheckRuns(head_sha)).toEqual([]);
});

test('lets only apps write check runs, and each only its own', async () => {
  const create = (client: ReturnType<typeof connect>) =>
    client.rest.checks.create({ ...repo, head_sha, name: 'proof' });
  await expect(create(connect({ checks: 'write' }, 'carol'))).rejects.toThrow(
    'You must authenticate via a GitHub App.',
  );
  await expect(create(connect({ checks: 'read' }))).rejects.toMatchObject({ status: 403 });
  const { id } = github.checkAs('other', { sha: head_sha, name: 'proof', text: 'theirs' });
  await expect(
    connect({ checks: 'write' }).rest.checks.update({
      ...repo,
      check_run_id: Number(id),
      output,
    }),
  ).rejects.toThrow(
    'Invalid app_id `15368` - check run can only be modified by the GitHub App that created it.',
  );
});
