import { afterEach, describe, expect, test } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { type Answer, type FakeApi, startFakeApi } from './fixtures/fake-api.ts';
import { type RepositoryFile, readRepositoryFile } from './repository-file.ts';

const repository = { owner: 'acme', repo: 'database' };
const commit = 'c'.repeat(40);
const ROOT = `git/trees/${commit}`;

let api: FakeApi;
let waits: number[];
afterEach(() => api.stop());

const entry = (path: string, mode: string, rest: object = {}) => ({
  path,
  mode,
  type: mode === '040000' ? 'tree' : mode === '160000' ? 'commit' : 'blob',
  sha: `sha-of-${path}`,
  ...rest,
});
const tree = (entries: readonly object[], truncated = false): Answer => ({
  sha: 'x',
  tree: entries,
  truncated,
});
const encode = (text: string): Answer => ({
  // GitHub breaks lines.
  content: Buffer.from(text)
    .toString('base64')
    .replace(/(.{4})/g, '$1\n'),
  encoding: 'base64',
});

const TABLE: Readonly<Record<string, readonly Answer[]>> = {
  [ROOT]: [
    tree([
      entry('README.md', '100644', { size: 3 }),
      entry('clusters', '040000'),
      entry('linked', '120000', { size: 8 }),
      entry('vendor', '160000'),
      entry('run.yml', '100755', { size: 2 }),
    ]),
  ],
  'git/trees/sha-of-clusters': [
    tree([
      entry('deep', '040000'),
      entry('orders.yml', '100644', { size: 15 }),
      entry('large.yml', '100644', { size: 101 }),
      entry('lying.yml', '100644', { size: 1 }),
      entry('empty.yml', '100644', { size: 0 }),
      entry('link.yml', '120000', { size: 10 }),
    ]),
  ],
  'git/trees/sha-of-deep': [tree([entry('a.yml', '100644', { size: 4 })])],
  'git/blobs/sha-of-orders.yml': [encode('region: ü\n\0\xff')],
  'git/blobs/sha-of-lying.yml': [encode('x'.repeat(102))],
  'git/blobs/sha-of-empty.yml': [encode('')],
  'git/blobs/sha-of-a.yml': [encode('a: 1')],
  'git/blobs/sha-of-run.yml': [encode('{}')],
};

async function read(path: string, changed: Readonly<Record<string, readonly Answer[]>> = {}) {
  waits = [];
  api = await startFakeApi({ ...TABLE, ...changed });
  const wait = async (seconds: number) => waits.push(seconds);
  return readRepositoryFile(api.client, { repository, commit, path, limit: 100, wait });
}

const file = (text: string): RepositoryFile => ({ kind: 'file', bytes: Buffer.from(text) });

describe('readRepositoryFile', () => {
  test.each<[string, RepositoryFile, number]>([
    ['clusters/orders.yml', file('region: ü\n\0\xff'), 3],
    ['clusters/deep/a.yml', file('a: 1'), 4],
    ['clusters/empty.yml', file(''), 3],
    ['run.yml', file('{}'), 2],
    ['clusters/large.yml', { kind: 'too-large', size: 101 }, 2],
    ['clusters/lying.yml', { kind: 'too-large', size: 102 }, 3],
    ['clusters/none.yml', { kind: 'missing' }, 2],
    ['none/orders.yml', { kind: 'missing' }, 1],
    ['Clusters/orders.yml', { kind: 'missing' }, 1],
    ['README.md/orders.yml', { kind: 'missing' }, 1],
    ['clusters', { kind: 'other', what: 'a folder', path: 'clusters' }, 1],
    ['clusters/deep', { kind: 'other', what: 'a folder', path: 'clusters/deep' }, 2],
    ['clusters/link.yml', { kind: 'other', what: 'a symbolic link', path: 'clusters/link.yml' }, 2],
    ['linked/orders.yml', { kind: 'other', what: 'a symbolic link', path: 'linked' }, 1],
    ['vendor/orders.yml', { kind: 'other', what: 'a submodule', path: 'vendor' }, 1],
    ['vendor', { kind: 'other', what: 'a submodule', path: 'vendor' }, 1],
  ])('%s', async (path, expected, requests) => {
    expect(await read(path)).toEqual(expected);
    expect(api.asked).toHaveLength(requests);
    expect(waits).toEqual([]);
  });

  test.each([404, 422])('retries while GitHub returns %d for the commit', async (status) => {
    const unknown: Answer = [status, 'No commit found for SHA'];
    const [known] = TABLE[ROOT] ?? [];
    expect(await read('run.yml', { [ROOT]: [unknown, unknown, known as Answer] })).toEqual(
      file('{}'),
    );
    expect(waits).toEqual([1, 2]);
  });

  test.each<[string, string, Readonly<Record<string, readonly Answer[]>>, RegExp, number]>([
    [
      'a commit that remains unknown',
      'run.yml',
      { [ROOT]: [[404, 'Not Found']] },
      /^run\.yml: GitHub does not know commit c{40}, or github-token lacks the permission contents: read/,
      5,
    ],
    [
      'a token that may not read',
      'run.yml',
      { [ROOT]: [[403, 'Resource not accessible by integration']] },
      /Resource not accessible by integration.*Give the job the permission contents: read/,
      1,
    ],
    [
      'a folder with a partial list',
      'clusters/late.yml',
      { 'git/trees/sha-of-clusters': [tree([entry('early.yml', '100644')], true)] },
      /^clusters\/late\.yml: GitHub lists only a part of the folder clusters at commit c{40}/,
      2,
    ],
    [
      'a top folder with a partial list',
      'late.yml',
      { [ROOT]: [tree([], true)] },
      /only a part of the top of the repository/,
      1,
    ],
  ])('throws for %s', async (_, path, changed, message, requests) => {
    const error = await read(path, changed).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toMatch(message);
    expect(api.asked).toHaveLength(requests);
  });

  test('finds an entry in a partial list', async () => {
    const part = tree([entry('run.yml', '100644', { size: 2 })], true);
    expect(await read('run.yml', { [ROOT]: [part] })).toEqual(file('{}'));
  });

  test('throws other errors unchanged', async () => {
    await expect(read('run.yml', { [ROOT]: [[409, 'Git Repository is empty.']] })).rejects.toThrow(
      /Git Repository is empty/,
    );
  });
});
