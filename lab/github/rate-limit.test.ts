import { describe, expect, test } from 'vitest';
import { startGitHub } from './github.ts';
import { Problem } from './problem.ts';
import { RateLimits } from './rate-limit.ts';

const WORKFLOW = 'github-actions[bot]';
const COMMENTS = '/repos/acme/database/issues/1/comments';

function start() {
  const clock = { now: 1_000_000 };
  const limits = new RateLimits(() => clock.now);
  /** Sends a request that is answered at once, or stays on its way; returns the refusal. */
  const send = (method: string, { path = COMMENTS, login = WORKFLOW, stays = false } = {}) => {
    try {
      const end = limits.admit({ login, method, path, requestId: 'X' });
      if (!stays) end();
      return null;
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
  };
  const sendMany = (count: number, ...request: Parameters<typeof send>) =>
    Array.from({ length: count }, () => send(...request)).filter((refusal) => refusal !== null);
  return { clock, send, sendMany };
}

describe('a secondary limit', () => {
  test('of 80 content-creating requests a minute says when to go on, with 403 or 429', () => {
    const { clock, send, sendMany } = start();
    expect(sendMany(80, 'PATCH')).toEqual([]);
    clock.now += 10_000;
    expect([send('POST'), send('PUT')]).toMatchObject([
      {
        status: 403,
        headers: { 'retry-after': '50' },
        message: expect.stringMatching(/secondary/),
      },
      { status: 429, headers: { 'retry-after': '50' } },
    ]);
    expect(send('GET')).toBeNull();
    clock.now += 50_000;
    expect(send('POST')).toBeNull();
  });

  test('of 500 content-creating requests an hour', () => {
    const { clock, send, sendMany } = start();
    for (let minute = 0; minute < 10; minute++) {
      expect(sendMany(50, 'POST')).toEqual([]);
      clock.now += 60_000;
    }
    expect(send('POST')).toMatchObject({ headers: { 'retry-after': '3000' } });
  });

  test('of 900 points a minute: a read costs 1, a write 5', () => {
    const { send, sendMany } = start();
    expect(sendMany(80, 'POST')).toEqual([]);
    expect(sendMany(99, 'DELETE')).toEqual([]);
    expect(sendMany(5, 'GET')).toEqual([]);
    expect(send('GET')).toMatchObject({ headers: { 'retry-after': '60' } });
    expect(send('POST', { path: '/graphql' })).toBeNull();
    expect(send('GET', { login: 'alice' })).toBeNull();
  });

  test('of 100 requests at the same time', () => {
    const { send, sendMany } = start();
    expect(sendMany(100, 'GET', { stays: true })).toEqual([]);
    expect(send('GET')).toMatchObject({ headers: { 'retry-after': '1' } });
  });
});

test('the quota of the workflows of a repository is 1,000 requests an hour', () => {
  const { clock, send, sendMany } = start();
  for (let minute = 0; minute < 2; minute++) {
    expect(sendMany(500, 'GET')).toEqual([]);
    clock.now += 60_000;
  }
  const refused = send('GET');
  expect(refused?.headers).toMatchObject({
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': String((1_000_000 + 3_600_000) / 1000),
  });
  expect(refused?.headers).not.toHaveProperty('retry-after');
  expect(sendMany(500, 'GET', { login: 'alice' })).toEqual([]);
  clock.now += 3_600_000;
  expect(send('GET')).toBeNull();
});

test('the server enforces them', async () => {
  const github = await startGitHub();
  const { number } = github.openPullRequest({ branch: 'more', title: 'More' }).payload;
  const token = github.createToken({ permissions: { pull_requests: 'write' } });
  const post = () =>
    fetch(`${github.urls.api}/repos/acme/database/issues/${number}/comments`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: '{"body":"x"}',
    });
  const answers: Response[] = [];
  for (let index = 0; index < 81; index++) answers.push(await post());
  expect(answers.slice(0, 80).every(({ status }) => status === 201)).toBe(true);
  const last = answers.at(-1);
  expect([last?.status, last?.headers.get('retry-after')]).toEqual([403, expect.any(String)]);
  expect(last?.headers.get('x-ratelimit-remaining')).toBe('920');
  expect(github.listComments(number)).toHaveLength(80);
  await github.stop();
});
