import { afterEach, expect, test } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { type Answer, type FakeApi, startFakeApi } from './fixtures/fake-api.ts';
import { findTestMerge, type TestMerge } from './test-merge.ts';

const repository = { owner: 'acme', repo: 'database' };
const HEAD = 'a'.repeat(40);
const BASE = 'b'.repeat(40);
const MERGE = 'c'.repeat(40);
const OLD = 'd'.repeat(40);
const PULL = 'pulls/7';

let api: FakeApi;
let waits: number[];
afterEach(() => api.stop());

const pull = (overrides: object = {}): Answer => ({
  state: 'open',
  merged: false,
  mergeable: true,
  merge_commit_sha: MERGE,
  head: { sha: HEAD },
  ...overrides,
});
const commit = (...parents: string[]): Answer => ({ parents: parents.map((sha) => ({ sha })) });

async function find(table: Readonly<Record<string, readonly Answer[]>>) {
  waits = [];
  api = await startFakeApi({
    [`git/commits/${MERGE}`]: [commit(BASE, HEAD)],
    [`git/commits/${OLD}`]: [commit(BASE, 'e'.repeat(40))],
    ...table,
  });
  const wait = async (seconds: number) => waits.push(seconds);
  return findTestMerge(api.client, { repository, number: 7, headSha: HEAD, wait });
}

const found: TestMerge = { kind: 'merge', commit: MERGE };
const computing = pull({ mergeable: null, merge_commit_sha: null });
const conflict = pull({ mergeable: false, merge_commit_sha: OLD });
const unknown = (why: RegExp) => ({ kind: 'unknown', why: expect.stringMatching(why) });

test.each<[string, readonly Answer[], object, readonly number[]]>([
  ['it exists', [pull()], found, []],
  ['it is being created', [computing, computing, pull()], found, [2, 4]],
  [
    'it is being created, and an older one is reported',
    [pull({ mergeable: null, merge_commit_sha: OLD }), pull()],
    found,
    [2],
  ],
  ['an older one is reported first', [pull({ merge_commit_sha: OLD }), pull()], found, [2]],
  ['it has no commit', [pull({ merge_commit_sha: null }), pull()], found, [2]],
  ['it is never created', [computing], unknown(/not tested yet/), [2, 4, 8, 16]],
  [
    'an older one remains',
    [pull({ merge_commit_sha: OLD })],
    unknown(/test merge d{40} is not of commit a{40}/),
    [2, 4, 8, 16],
  ],
  ['it conflicts', [conflict], { kind: 'conflict' }, [2]],
  ['it conflicts after the computation', [computing, conflict], { kind: 'conflict' }, [2, 4]],
  ['it conflicted before the push', [conflict, computing, pull()], found, [2, 4]],
  [
    'another commit was pushed',
    [pull({ head: { sha: OLD } })],
    { kind: 'overtaken', head: OLD },
    [2],
  ],
  ['its push is not visible yet', [pull({ head: { sha: OLD } }), pull()], found, [2]],
  [
    'it is overtaken while it is being created',
    [computing, pull({ head: { sha: OLD } })],
    { kind: 'overtaken', head: OLD },
    [2, 4],
  ],
  [
    'it was closed',
    [pull({ state: 'closed', mergeable: null })],
    { kind: 'closed', merged: false },
    [],
  ],
  [
    'it was merged in the meantime',
    [computing, pull({ state: 'closed', merged: true })],
    { kind: 'closed', merged: true },
    [2],
  ],
])('%s', async (_, answers, expected, waited) => {
  expect(await find({ [PULL]: answers })).toEqual(expected);
  expect(waits).toEqual(waited);
});

test.each<[string, Answer]>([
  ['one parent', commit(HEAD)],
  ['three parents', commit(BASE, HEAD, OLD)],
  ['its parents in reverse order', commit(HEAD, BASE)],
  ['no parents', commit()],
])('rejects a commit with %s as the test merge', async (_, answer) => {
  expect(await find({ [PULL]: [pull()], [`git/commits/${MERGE}`]: [answer] })).toMatchObject({
    kind: 'unknown',
  });
});

test('waits for a test merge that GitHub does not know yet', async () => {
  const table = { [`git/commits/${MERGE}`]: [[404, 'Not Found'], commit(BASE, HEAD)] as const };
  expect(await find({ [PULL]: [pull()], ...table })).toEqual(found);
  expect(waits).toEqual([2]);
});

test.each<[string, Readonly<Record<string, readonly Answer[]>>]>([
  ['pull-requests: read', { [PULL]: [[403, 'Resource not accessible by integration']] }],
  [
    'contents: read',
    {
      [PULL]: [pull()],
      [`git/commits/${MERGE}`]: [[403, 'Resource not accessible by integration']],
    },
  ],
])('names the missing permission %s', async (permission, table) => {
  const error = await find(table).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  expect(error.message).toContain(`Give the job the permission ${permission}.`);
});

test('throws other errors unchanged', async () => {
  await expect(find({})).rejects.toMatchObject({ status: 404 });
});
