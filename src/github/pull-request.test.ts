import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from './client.ts';
import { findPullRequest } from './pull-request.ts';

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

it.each(['merge', 'squash', 'rebase'] as const)('finds it after a %s', async (method) => {
  open('earlier');
  const pull = open('more-replicas');
  github.pushToPullRequest(pull.number);
  const { push, pullRequest } = github.merge(pull.number, method);
  const { found, waits } = await find(push.payload.after);
  expect(found).toEqual({
    number: pull.number,
    url: pull.pull_request.html_url,
    headSha: pullRequest.payload.pull_request.head.sha,
  });
  expect(waits).toEqual([]);
});

it('waits until GitHub has noticed', async () => {
  github.delayAssociation(3);
  const pull = open('more-replicas');
  const { push } = github.merge(pull.number, 'squash');
  const { found, waits } = await find(push.payload.after);
  expect(found?.number).toBe(pull.number);
  expect(waits).toEqual([1, 2, 4]);
});

it('takes a push without a pull request for what it is', async () => {
  open('unrelated');
  const { found, waits, log } = await find(github.push().payload.after);
  expect(found).toBeNull();
  expect(waits).toEqual([1, 2, 4, 8]);
  expect(log).toEqual([]);
});

it('does not take an open pull request that holds the commit for a merged one', async () => {
  const pull = open('still-open');
  expect((await find(pull.pull_request.head.sha)).found).toBeNull();
});

describe('among several', () => {
  it('takes the one whose merge made the commit', async () => {
    const first = github.merge(open('first').number, 'merge');
    const second = github.merge(open('second').number, 'merge');
    expect((await find(second.push.payload.after)).found?.number).toBe(2);
    expect((await find(first.push.payload.after)).found?.number).toBe(1);
  });
});

it('says it when the token may not look', async () => {
  const { push } = github.merge(open('more').number, 'merge');
  const { found, log } = await find(push.payload.after, { pulls: null });
  expect(found).toBeNull();
  expect(log.join()).toMatch(/pull-requests: write/);
});
