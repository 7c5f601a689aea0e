import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from './client.ts';
import { findLabelers } from './labelers.ts';

const LABEL = 'allow-destroy';

let github: GitHub;
let number: number;
beforeEach(async () => {
  github = await startGitHub();
  ({ number } = github.openPullRequest({ branch: 'less', title: 'Less' }).payload);
});
afterEach(() => github.stop());

async function find(pull_requests: 'read' | null = 'read') {
  const token = github.createToken({ permissions: pull_requests ? { pull_requests } : {} });
  const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 1 });
  const before = github.journal.length;
  const log: string[] = [];
  const found = await findLabelers(client, {
    repository: { owner: 'acme', repo: 'database' },
    number,
    log: (line) => log.push(line),
  });
  const calls = github.journal.length - before;
  return { found: Object.fromEntries(found), calls, log: log.join() };
}

const comment = (count: number) => {
  for (let index = 0; index < count; index++) github.commentAs('eve', number, `${index}`);
};

test.each<[string, () => void, Record<string, string>]>([
  ['nobody', () => {}, {}],
  ['one person', () => github.label(number, 'Allow-Destroy', 'bob'), { [LABEL]: 'bob' }],
  [
    'two persons, one for each label',
    () => {
      github.label(number, LABEL, 'bob');
      github.label(number, 'other', 'carol');
    },
    { [LABEL]: 'bob', other: 'carol' },
  ],
  [
    'one person, whose label another one put on again',
    () => {
      github.label(number, LABEL, 'bob');
      github.label(number, LABEL, 'carol');
    },
    { [LABEL]: 'bob' },
  ],
  [
    'the last one, after somebody took it off',
    () => {
      github.label(number, LABEL, 'bob');
      github.unlabel(number, LABEL, 'bob');
      github.label(number, LABEL, 'carol');
    },
    { [LABEL]: 'carol' },
  ],
  [
    'nobody any more',
    () => {
      github.label(number, LABEL, 'bob');
      github.unlabel(number, LABEL, 'carol');
    },
    {},
  ],
  [
    'one person, on a full page',
    () => {
      comment(98);
      github.label(number, LABEL, 'bob');
    },
    { [LABEL]: 'bob' },
  ],
])('the label was put on by %s: one read', async (_, act, found) => {
  act();
  expect(await find()).toEqual({ found, calls: 1, log: '' });
});

test.each<[string, () => Promise<unknown>, RegExp]>([
  ['more events than a page', async () => comment(100), /over 100 events/],
  [
    'a server error',
    async () => github.failNext({ path: /timeline/, kind: 'server-error' }),
    /not known/,
  ],
  [
    'a rate limit',
    async () =>
      github.failNext({ path: /timeline/, kind: 'secondary-limit', retryAfterSeconds: 1 }),
    /not known/,
  ],
])('with %s nobody is named, and it is not read twice', async (_, act, why) => {
  github.label(number, LABEL, 'bob');
  await act();
  expect(await find()).toEqual({ found: {}, calls: 1, log: expect.stringMatching(why) });
});

test('without the permission nobody is named', async () => {
  github.label(number, LABEL, 'bob');
  expect(await find(null)).toEqual({
    found: {},
    calls: 1,
    log: expect.stringContaining('Resource not accessible by integration'),
  });
});
