import { getOctokit } from '@actions/github';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GitHub } from './github.ts';
import { startGitHub } from './github.ts';

let github: GitHub;
const repo = { owner: 'acme', repo: 'database' };

beforeEach(async () => {
  github = await startGitHub({ files: { a: '1', b: '1' } });
});

afterEach(() => github.stop());

async function read(number: number) {
  const token = github.createToken({ permissions: { pull_requests: 'read' } });
  const { rest } = getOctokit(token, { baseUrl: github.urls.api });
  const { data } = await rest.pulls.get({ ...repo, pull_number: number });
  return [data.mergeable, data.mergeable_state, data.merge_commit_sha];
}

const open = () =>
  github.openPullRequest({ branch: 'change', title: 'Change', contents: { a: '2' } });

describe('the mergeability of a pull request', () => {
  test.each([0, 1, 3])('is unknown for %i answers', async (answers) => {
    github.delayMergeability(answers);
    const { payload, sha } = open();
    // Lists do not trigger a merge and show the known result.
    const token = github.createToken({ permissions: { pull_requests: 'read' } });
    const { rest } = getOctokit(token, { baseUrl: github.urls.api });
    for (let time = 0; time < 4; time += 1) {
      const { data } = await rest.pulls.list(repo);
      expect(data).toMatchObject([{ merge_commit_sha: null }]);
    }
    for (let time = 0; time < answers; time += 1)
      expect(await read(payload.number)).toEqual([null, 'unknown', null]);
    for (let time = 0; time < 2; time += 1)
      expect(await read(payload.number)).toEqual([true, 'clean', sha]);
  });

  test('is unknown again after a push, and the old merge commit stays meanwhile', async () => {
    const { payload, sha } = open();
    const { number } = payload;
    await read(number);
    expect(await read(number)).toEqual([true, 'clean', sha]);
    expect(github.label(number, 'x').payload.pull_request).toMatchObject({ mergeable: true });
    const pushed = github.pushToPullRequest(number, { contents: { c: '2' } });
    expect(await read(number)).toEqual([null, 'unknown', sha]);
    expect(await read(number)).toEqual([true, 'clean', pushed.sha]);
  });

  test('is unknown again after the base branch moved, once a client asks', async () => {
    const { payload, sha } = open();
    const { number } = payload;
    const base = payload.pull_request.base.sha;
    await read(number);
    await read(number);
    const main = github.push({ contents: { b: '2' } }).sha;
    // Neither a label event nor refs/pull/N/merge shows it.
    const labeled = github.label(number, 'x');
    expect(labeled).toMatchObject({ sha, payload: { pull_request: { mergeable: null } } });
    expect(await read(number)).toEqual([null, 'unknown', sha]);
    const [mergeable, , merge = ''] = await read(number);
    expect(mergeable).toBe(true);
    expect(merge).not.toBe(sha);
    const token = github.createToken({ permissions: { contents: 'read', pull_requests: 'read' } });
    const { rest } = getOctokit(token, { baseUrl: github.urls.api });
    const { data } = await rest.git.getCommit({ ...repo, commit_sha: String(merge) });
    expect(data.parents.map((parent) => parent.sha)).toEqual([main, payload.pull_request.head.sha]);
    // `base.sha` is from the last push, not the commit that the merge was made on.
    const pull = await rest.pulls.get({ ...repo, pull_number: number });
    expect(pull.data.base.sha).toBe(base);
    // The old merge commit is still readable.
    await rest.git.getCommit({ ...repo, commit_sha: sha });
  });

  test('is false in a conflict, with a null or outdated merge commit', async () => {
    const { payload, sha } = open();
    const { number } = payload;
    await read(number);
    await read(number);
    github.push({ contents: { a: '3' } });
    await read(number);
    expect(await read(number)).toEqual([false, 'dirty', sha]);
    const late = github.openPullRequest({
      branch: 'late',
      title: 'Late',
      head: payload.pull_request.head.sha,
    });
    await read(late.payload.number);
    expect(await read(late.payload.number)).toEqual([false, 'dirty', null]);
    expect(late.blocked).toBe(`pull request ${late.payload.number} has a merge conflict`);
    // Both sides now have the same change, so there is no conflict.
    github.push({ contents: { a: '2' } });
    await read(number);
    const [mergeable, , merge] = await read(number);
    expect([mergeable, merge === sha]).toEqual([true, false]);
  });

  test('comes without a merge commit in the API of 2026-03-10', async () => {
    const { number } = open().payload;
    await read(number);
    const token = github.createToken({ permissions: { pull_requests: 'read' } });
    const { request } = getOctokit(token, { baseUrl: github.urls.api });
    const ask = (version: string) =>
      request(`GET /repos/acme/database/pulls/${number}`, {
        headers: { 'x-github-api-version': version },
      });
    const { data, headers } = await ask('2026-03-10');
    expect(data).toMatchObject({ mergeable: true });
    expect(data).not.toHaveProperty('merge_commit_sha');
    expect(headers['x-github-api-version-selected']).toBe('2026-03-10');
    expect((await ask('2022-11-28')).data).toHaveProperty('merge_commit_sha');
    await expect(ask('2020-01-01')).rejects.toMatchObject({ status: 400 });
  });

  test('is not reported for a closed one', async () => {
    const { number } = open().payload;
    github.close(number);
    await read(number);
    expect((await read(number)).slice(0, 2)).toEqual([null, 'unknown']);
  });
});
