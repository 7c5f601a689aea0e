import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from './client.ts';
import { findPullRequest, readPullRequest } from './pull-request.ts';

let github: GitHub;
beforeEach(async () => {
  github = await startGitHub();
});
afterEach(() => github.stop());

async function find(sha: string, { pulls = 'write' }: { pulls?: 'write' | null } = {}) {
  const token = github.createToken({
    permissions: { contents: 'read', ...(pulls && { pull_requests: pulls }) },
  });
  const waits: number[] = [];
  const log: string[] = [];
  const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 1 });
  const found = await findPullRequest(client, {
    repository: { owner: 'acme', repo: 'database' },
    sha,
    branch: 'main',
    log: (line) => log.push(line),
    wait: async (seconds) => waits.push(seconds),
  });
  return { found, waits, log };
}

const open = (branch: string) => github.openPullRequest({ branch, title: branch }).payload;

test.each(['merge', 'squash', 'rebase'] as const)(
  'finds the pull request after a %s',
  async (method) => {
    open('earlier');
    const pull = open('more-replicas');
    github.pushToPullRequest(pull.number);
    github.label(pull.number, 'allow-destroy');
    const { push, pullRequest } = github.merge(pull.number, method);
    const { found, waits } = await find(push.payload.after);
    expect(found).toEqual({
      number: pull.number,
      url: pull.pull_request.html_url,
      headSha: pullRequest.payload.pull_request.head.sha,
      labels: ['allow-destroy'],
      isOpen: false,
      baseRef: 'main',
      mergedAt: pullRequest.payload.pull_request.merged_at,
      mergeCommitSha: push.payload.after,
    });
    expect(waits).toEqual([]);
  },
);

test('finds each pull request that a merge queue merged in one push', async () => {
  const numbers = ['first', 'second', 'third'].map((branch) => open(branch).number);
  const { groups, merge } = github.queue(numbers);
  const { push } = merge();
  expect((await find(push.payload.after)).found?.number).toBe(numbers[2]);
  for (const [index, { payload }] of groups.entries()) {
    expect((await find(payload.merge_group.head_sha)).found?.number).toBe(numbers[index]);
  }
});

test('waits until GitHub links the commit', async () => {
  github.delayAssociation(3);
  const pull = open('more-replicas');
  const { push } = github.merge(pull.number, 'squash');
  const { found, waits } = await find(push.payload.after);
  expect(found?.number).toBe(pull.number);
  expect(waits).toEqual([1, 2, 4]);
});

test.each([404, 422] as const)('retries while GitHub returns %d for the commit', async (status) => {
  const pull = open('more-replicas');
  const { push } = github.merge(pull.number, 'squash');
  github.failNext({ path: /\/commits\/.*\/pulls$/, times: 2, kind: 'unknown-commit', status });
  const { found, waits } = await find(push.payload.after);
  expect(found?.number).toBe(pull.number);
  expect(waits).toEqual([1, 2]);
});

test.each([404, 422] as const)('throws %d for a commit that GitHub never knows', async (status) => {
  const { push } = github.merge(open('more-replicas').number, 'squash');
  github.failNext({ path: /\/pulls$/, times: 5, kind: 'unknown-commit', status });
  await expect(find(push.payload.after)).rejects.toMatchObject({ status });
  expect(github.journal).toHaveLength(5);
});

test('returns null for a push without a pull request', async () => {
  open('unrelated');
  const { found, waits, log } = await find(github.push().payload.after);
  expect(found).toBeNull();
  expect(waits).toEqual([1, 2, 4, 8]);
  expect(log).toEqual([]);
});

test('ignores an open pull request with the commit', async () => {
  const pull = open('still-open');
  expect((await find(pull.pull_request.head.sha)).found).toBeNull();
});

describe('among several', () => {
  test('chooses the one whose merge made the commit', async () => {
    const first = github.merge(open('first').number, 'merge');
    const second = github.merge(open('second').number, 'merge');
    expect((await find(second.push.payload.after)).found?.number).toBe(2);
    expect((await find(first.push.payload.after)).found?.number).toBe(1);
  });
});

test('logs that the token may not read', async () => {
  const { push } = github.merge(open('more').number, 'merge');
  const { found, log } = await find(push.payload.after, { pulls: null });
  expect(found).toBeNull();
  expect(log.join()).toMatch(/pull-requests: write/);
});

describe('readPullRequest', () => {
  const repository = { owner: 'acme', repo: 'database' };
  const connect = (permissions: Parameters<GitHub['createToken']>[0]) =>
    createClient({
      token: github.createToken(permissions),
      apiUrl: github.urls.api,
      log: () => {},
      second: 1,
    });

  test('returns the current pull request', async () => {
    const { number } = open('more');
    const client = connect({ permissions: { pull_requests: 'read' } });
    const read = () => readPullRequest(client, { repository, number, log: () => {} });
    expect(await read()).toMatchObject({ number, labels: [], isOpen: true });
    const pushed = github.pushToPullRequest(number);
    github.label(number, 'Allow-Destroy');
    github.label(number, 'database');
    expect(await read()).toMatchObject({
      headSha: pushed.payload.pull_request.head.sha,
      labels: ['Allow-Destroy', 'database'],
    });
    github.unlabel(number, 'allow-destroy');
    github.close(number);
    expect(await read()).toMatchObject({ labels: ['database'], isOpen: false });
  });

  test('logs that the token may not read', async () => {
    const log: string[] = [];
    const client = connect({ permissions: { contents: 'read' } });
    const { number } = open('more');
    const options = { repository, number, log: (line: string) => log.push(line) };
    expect(await readPullRequest(client, options)).toBeNull();
    expect(log.join()).toMatch(/#1 .*pull-requests: write/);
    await expect(
      readPullRequest(connect({ permissions: { pull_requests: 'read' } }), {
        ...options,
        number: 99,
      }),
    ).rejects.toMatchObject({ status: 404 });
  });
});
