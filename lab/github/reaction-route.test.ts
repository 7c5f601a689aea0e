import { getOctokit } from '@actions/github';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GitHub, startGitHub } from './github.ts';
import type { Access, Permission } from './state.ts';

const repo = { owner: 'acme', repo: 'database' };
let github: GitHub;
let comment_id: number;
beforeEach(async () => {
  github = await startGitHub();
  const { number } = github.openPullRequest({ branch: 'b', title: 't' }).payload;
  comment_id = github.commentAs('bob', number, 'hello').id;
});
afterEach(() => github.stop());

function connect(permissions: Partial<Record<Permission, Access>>, login?: string) {
  const token = github.createToken({ permissions, ...(login === undefined ? {} : { login }) });
  const { rest } = getOctokit(token, { baseUrl: github.urls.api, request: { retries: 0 } });
  const target = { ...repo, comment_id };
  return {
    react: (content: 'eyes' | 'heart' = 'eyes') =>
      rest.reactions.createForIssueComment({ ...target, content }),
    list: async (filter: { content?: 'eyes' } = {}) =>
      (await rest.reactions.listForIssueComment({ ...target, ...filter })).data,
    remove: (reaction_id: number) =>
      rest.reactions.deleteForIssueComment({ ...target, reaction_id }),
    removeComment: () => rest.issues.deleteComment(target),
  };
}

test('stores each reaction of a login once, and says whether it is new', async () => {
  const bot = connect({ pull_requests: 'write' });
  const alice = connect({ pull_requests: 'write' }, 'alice');
  const first = await bot.react();
  expect(first).toMatchObject({
    status: 201,
    data: { content: 'eyes', user: { login: 'github-actions[bot]' } },
  });
  const again = await connect({ pull_requests: 'write' }).react();
  expect(again).toMatchObject({ status: 200, data: first.data });
  expect((await bot.react('heart')).status).toBe(201);
  expect((await alice.react()).status).toBe(201);
  expect((await bot.list()).map(({ content }) => content)).toEqual(['eyes', 'heart', 'eyes']);
  expect(await bot.list({ content: 'eyes' })).toHaveLength(2);
});

test('creates one for concurrent requests', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => connect({ pull_requests: 'write' }).react()),
  );
  expect(answers.map(({ status }) => Number(status)).filter((status) => status === 201)).toEqual([
    201,
  ]);
  expect(new Set(answers.map(({ data }) => data.id)).size).toBe(1);
});

test('lets only its author delete it, once', async () => {
  const bot = connect({ pull_requests: 'write' });
  const { data } = await bot.react();
  await expect(connect({ pull_requests: 'write' }, 'alice').remove(data.id)).rejects.toMatchObject({
    status: 403,
  });
  expect((await bot.remove(data.id)).status).toBe(204);
  await expect(bot.remove(data.id)).rejects.toMatchObject({ status: 404 });
  expect((await bot.react()).status).toBe(201);
});

test('is deleted with its comment', async () => {
  const bot = connect({ pull_requests: 'write' });
  const { data } = await bot.react();
  await bot.removeComment();
  await expect(bot.react()).rejects.toMatchObject({ status: 404 });
  await expect(bot.remove(data.id)).rejects.toMatchObject({ status: 404 });
  expect(github.listReactions(comment_id)).toEqual([]);
});

test.each<[string, Partial<Record<Permission, Access>>]>([
  ['read only', { pull_requests: 'read', issues: 'read' }],
  // As for comments: the pull request's permission counts, whatever the path says.
  ['issues: write', { issues: 'write', pull_requests: 'read' }],
])('is refused to a token with %s', async (_case, permissions) => {
  await expect(connect(permissions).react()).rejects.toMatchObject({
    status: 403,
    response: { data: { message: 'Resource not accessible by integration' } },
  });
});
