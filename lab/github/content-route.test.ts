import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getOctokit } from '@actions/github';
import { afterEach, describe, expect, test } from 'vitest';
import type { Contents } from './git.ts';
import { EMPTY_TREE } from './git.ts';
import type { GitHub, GitHubOptions } from './github.ts';
import { startGitHub } from './github.ts';
import type { MergeMethod } from './state.ts';

const running: GitHub[] = [];

afterEach(async () => {
  for (const github of running.splice(0)) await github.stop();
});

async function start(options: GitHubOptions = {}) {
  const github = await startGitHub(options);
  running.push(github);
  const token = github.createToken({ permissions: { contents: 'read', pull_requests: 'read' } });
  return { github, ...getOctokit(token, { baseUrl: github.urls.api }) };
}

type Rest = ReturnType<typeof getOctokit>['rest'];

const repo = { owner: 'acme', repo: 'database' };

// Two bytes that are not text, and a name that Git sorts before the directory with the same prefix.
const files: Contents = {
  'clusters/orders.yml': 'cluster_name: orders\n',
  'clusters/current.yml': { link: 'orders.yml' },
  'clusters/old/logo.bin': { base64: 'AP8=' },
  'clusters.txt': 'x',
  run: { text: '#!/bin/sh\n', executable: true },
  vendor: { submodule: '1234567890123456789012345678901234567890' },
};

async function readTree(rest: Rest, tree_sha: string) {
  return (await rest.git.getTree({ ...repo, tree_sha, recursive: 'true' })).data;
}

/** Reads all files at a commit as text by path, through blobs like a client. */
async function readFiles(rest: Rest, commit_sha: string): Promise<Record<string, string>> {
  const commit = await rest.git.getCommit({ ...repo, commit_sha });
  const { tree } = await readTree(rest, commit.data.tree.sha);
  const texts: Record<string, string> = {};
  for (const { path, sha, type } of tree) {
    if (type !== 'blob') continue;
    const { data } = await rest.git.getBlob({ ...repo, file_sha: sha });
    texts[path] = Buffer.from(data.content, 'base64').toString();
  }
  return texts;
}

describe('Git objects', () => {
  test('have the ids, modes and order of real Git', async () => {
    const { github, rest } = await start({ files });
    const head = github.schedule().sha;
    const commit = (await rest.git.getCommit({ ...repo, commit_sha: head })).data;
    // The output of `git write-tree` and `git ls-tree -r -t` for these files.
    expect(commit).toMatchObject({
      sha: head,
      tree: { sha: '4b4380a9e5e4c7eda9b18c1dba253551692a4183' },
      parents: [],
    });
    const { tree, truncated } = await readTree(rest, commit.tree.sha);
    expect(truncated).toBe(false);
    expect(tree.map(({ mode, type, sha, size, path }) => [mode, type, sha, size, path])).toEqual([
      ['100644', 'blob', '3be9984d05ce551d0abaab6801b31b941a036fe1', 11, 'README.md'],
      ['100644', 'blob', 'c1b0730e0133447badcfd47fd144e254807b06e1', 1, 'clusters.txt'],
      ['040000', 'tree', '8545439930f4596d304556713913d8675569f662', undefined, 'clusters'],
      ['120000', 'blob', '299a4ceb0af4f336e8f2d08bc7828fb73709413d', 10, 'clusters/current.yml'],
      ['040000', 'tree', '3e72ab9734cc24b5155482a9beb61669910f21fb', undefined, 'clusters/old'],
      ['100644', 'blob', 'ba01f6b05bdbb386b35f4d086e268c5d422cafb9', 2, 'clusters/old/logo.bin'],
      ['100644', 'blob', 'e83b562701ab6aaeef6f07cfe828c219d6645f01', 21, 'clusters/orders.yml'],
      ['100755', 'blob', '1a2485251c33a70432394c93fb89330ef214bfc9', 10, 'run'],
      ['160000', 'commit', '1234567890123456789012345678901234567890', undefined, 'vendor'],
    ]);
  });

  test('are listed one level deep by default, also by commit and by branch', async () => {
    const { github, rest, request } = await start({ files });
    const head = github.schedule().sha;
    const direct = ['README.md', 'clusters.txt', 'clusters', 'run', 'vendor'];
    github.createBranch('team/x');
    for (const tree_sha of [head, 'main', 'heads/main', 'refs/heads/main', 'HEAD', 'team/x']) {
      const { data } = await rest.git.getTree({ ...repo, tree_sha });
      expect(data.tree.map(({ path }) => path)).toEqual(direct);
    }
    const plain = await request('GET /repos/acme/database/git/trees/team/x');
    expect(plain.data.tree).toHaveLength(5);
    // Any value means yes.
    const { data } = await rest.git.getTree({ ...repo, tree_sha: head, recursive: 'false' });
    expect(data.tree).toHaveLength(9);
    const below = data.tree.find(({ path }) => path === 'clusters')?.sha ?? '';
    const names = (await readTree(rest, below)).tree.map(({ path }) => path);
    expect(names).toEqual(['current.yml', 'old', 'old/logo.bin', 'orders.yml']);
  });

  test('are truncated if the tree is too large', async () => {
    const { github, rest } = await start({ files });
    github.limitTrees(2);
    expect(await readTree(rest, 'main')).toMatchObject({
      truncated: true,
      tree: [{ path: 'README.md' }, { path: 'clusters.txt' }],
    });
  });

  test.each([
    ['0 bytes', '', ''],
    ['45 bytes are one line', 'a'.repeat(45), `${'YWFh'.repeat(15)}\n`],
    ['46 bytes are two', 'a'.repeat(46), `${'YWFh'.repeat(15)}\nYQ==\n`],
  ])('%s in base64', async (_case, text, content) => {
    const { rest } = await start({ files: { file: text } });
    const sha = (await readTree(rest, 'main')).tree.find(({ path }) => path === 'file')?.sha ?? '';
    const { data } = await rest.git.getBlob({ ...repo, file_sha: sha });
    expect(data).toMatchObject({ sha, content, size: text.length, encoding: 'base64' });
  });

  test.each([
    ['a commit', 'git/commits/0123456789012345678901234567890123456789', 404, 'Not Found'],
    ['an abbreviated commit id', 'git/commits/HEAD7', 404, 'Not Found'],
    ['a ref of a pull request', 'git/ref/pull/9/merge', 404, 'Not Found'],
    ['a ref that is a commit', 'git/ref/main', 404, 'Not Found'],
    ['a tree', 'git/trees/0123456789012345678901234567890123456789', 404, 'Not Found'],
    ['a branch', 'git/trees/other', 404, 'Not Found'],
    ['a blob as a tree', 'git/trees/c1b0730e0133447badcfd47fd144e254807b06e1', 404, 'Not Found'],
    ['a tree as a blob', 'git/blobs/8545439930f4596d304556713913d8675569f662', 404, 'Not Found'],
    [
      'a short blob',
      'git/blobs/c1b0730',
      422,
      'The sha parameter must be exactly 40 characters and contain only [0-9a-f].',
    ],
    ['a file', 'contents/clusters/none.yml', 404, 'Not Found'],
    ['a file below a file', 'contents/clusters.txt/x', 404, 'Not Found'],
    ['a ref', 'contents/clusters?ref=other', 404, 'No commit found for the ref other'],
  ])('%s that is not there', async (_case, path, status, message) => {
    const { request } = await start({ files });
    await expect(request(`GET /repos/acme/database/${path}`)).rejects.toMatchObject({
      status,
      response: { data: { message, status: String(status) } },
    });
  });

  test.each([
    'git/ref/heads/main',
    'git/commits/main',
    'git/trees/main',
    'git/blobs/c1b0730e0133447badcfd47fd144e254807b06e1',
    'contents/clusters',
  ])('%s needs contents: read in a private repository', async (path) => {
    const { github } = await start({ files });
    const { request } = getOctokit(github.createToken({ permissions: { issues: 'write' } }), {
      baseUrl: github.urls.api,
    });
    await expect(request(`GET /repos/acme/database/${path}`)).rejects.toMatchObject({
      status: 403,
      response: { headers: { 'x-accepted-github-permissions': 'contents=read' } },
    });
  });

  test.each([
    ['clusters/../x', 'is no path of a file'],
    ['/clusters/x', 'is no path of a file'],
    ['.git/config', 'is no path of a file'],
    ['clusters', 'clusters is a file and a directory'],
    ['run/x', 'run is a file and a directory'],
  ])('%s cannot be pushed', async (path, message) => {
    const { github } = await start({ files });
    expect(() => github.push({ contents: { [path]: 'x' } })).toThrow(message);
    expect(() => github.push({ contents: { none: null } })).toThrow('There is no file none');
  });
});

describe('repository contents', () => {
  test('list a directory', async () => {
    const { rest } = await start({ files });
    const { data } = await rest.repos.getContent({ ...repo, path: 'clusters', ref: 'main' });
    expect(data).toMatchObject([
      { name: 'current.yml', path: 'clusters/current.yml', type: 'symlink', size: 10 },
      { name: 'old', path: 'clusters/old', type: 'dir', size: 0 },
      { name: 'orders.yml', type: 'file', sha: 'e83b562701ab6aaeef6f07cfe828c219d6645f01' },
    ]);
    const root = await rest.repos.getContent({ ...repo, path: '' });
    expect((root.data as { type: string }[]).map(({ type }) => type)).toEqual([
      'file',
      'file',
      'dir',
      'file',
      // A submodule.
      'file',
    ]);
  });

  test.each<[string, TreeFileOf, object]>([
    ['a file', 'text', { type: 'file', content: 'dGV4dA==\n' }],
    // The path of a link to a file returns that file.
    ['a link to a file', { link: '../clusters.txt' }, { type: 'file', content: 'eA==\n' }],
    ['a link to a directory', { link: 'old' }, { type: 'symlink', target: 'old' }],
    ['a link out of the repository', { link: '../../x' }, { type: 'symlink', target: '../../x' }],
    ['a link to nothing', { link: '/etc/passwd' }, { type: 'symlink', target: '/etc/passwd' }],
    ['a submodule', { submodule: 'a'.repeat(40) }, { type: 'submodule', sha: 'a'.repeat(40) }],
    ['a megabyte and more', 'x'.repeat(1024 * 1024 + 1), { content: '', encoding: 'none' }],
  ])('are %s', async (_case, file, answer) => {
    const { github, rest } = await start({ files });
    const ref = github.push({ contents: { 'clusters/it': file } }).sha;
    const { data } = await rest.repos.getContent({ ...repo, path: 'clusters/it', ref });
    expect(data).toMatchObject({ name: 'it', path: 'clusters/it', ...answer });
  });
});

type TreeFileOf = NonNullable<Contents[string]>;

describe('pull requests', () => {
  test("start from their base's files, and their merge has both sides' changes", async () => {
    const { github, rest } = await start({ files: { a: '1', b: '1', c: '1' } });
    const { payload, sha } = github.openPullRequest({
      branch: 'change',
      title: 'Change',
      author: 'mallory',
      fork: true,
      contents: { a: '2', c: null, 'd/e': { link: '../a' } },
    });
    const { number } = payload;
    const readme = { 'README.md': '# database\n' };
    const changed = { ...readme, a: '2', b: '1', 'd/e': '../a' };
    const head = payload.pull_request.head.sha;
    // A fork's commits are reachable through the repository that it was forked from.
    expect(await readFiles(rest, head)).toEqual(changed);
    expect(await readFiles(rest, sha)).toEqual(changed);
    const list = async () => {
      const { data } = await rest.pulls.listFiles({ ...repo, pull_number: number });
      return data.map(({ filename, status }) => `${status} ${filename}`);
    };
    expect(await list()).toEqual(['modified a', 'removed c', 'added d/e']);

    const main = github.push({ contents: { b: '3', f: '3' } }).sha;
    const pushed = github.pushToPullRequest(number, { contents: { c: '1', a: '4' } });
    expect(await list()).toEqual(['modified a', 'added d/e']);
    expect(await readFiles(rest, pushed.payload.pull_request.head.sha)).toEqual({
      ...changed,
      a: '4',
      c: '1',
    });
    const merged = { ...changed, a: '4', b: '3', c: '1', f: '3' };
    expect(await readFiles(rest, pushed.sha)).toEqual(merged);
    const { data } = await rest.git.getCommit({ ...repo, commit_sha: pushed.sha });
    expect(data.parents.map((parent) => parent.sha)).toEqual([
      main,
      pushed.payload.pull_request.head.sha,
    ]);
    for (const [ref, length] of [
      ['head', 5],
      ['merge', 6],
    ] as const) {
      const at = `refs/pull/${number}/${ref}`;
      const root = await rest.repos.getContent({ ...repo, path: '', ref: at });
      expect(root.data).toHaveLength(length);
    }
    const merge = await rest.git.getRef({ ...repo, ref: `pull/${number}/merge` });
    expect(merge.data).toMatchObject({
      ref: `refs/pull/${number}/merge`,
      object: { sha: pushed.sha },
    });
    expect((await rest.git.getRef({ ...repo, ref: 'heads/main' })).data.object.sha).toBe(main);
  });

  test.each<MergeMethod>(['merge', 'squash', 'rebase'])('merged by %s', async (method) => {
    const { github, rest } = await start({ files: { a: '1', b: '1' } });
    const { number } = github.openPullRequest({
      branch: 'change',
      title: 'Change',
      contents: { a: '2' },
      commits: 2,
    }).payload;
    github.pushToPullRequest(number, { contents: { c: '2' } });
    github.push({ contents: { b: '3' } });
    const { push } = github.merge(number, method);
    const merged = { 'README.md': '# database\n', a: '2', b: '3', c: '2' };
    expect(await readFiles(rest, push.sha)).toEqual(merged);
    expect(await readFiles(rest, github.push().sha)).toEqual(merged);
    const tree = (await rest.git.getCommit({ ...repo, commit_sha: push.sha })).data.tree.sha;
    expect(push.payload.head_commit?.tree_id).toBe(tree);
  });

  test('in a merge queue are each tested with the ones before them', async () => {
    const { github, rest } = await start({ files: { a: '1', b: '1' } });
    const numbers = [{ a: '2' }, { b: '2' }].map(
      (contents, index) =>
        github.openPullRequest({ branch: `change-${index}`, title: 'Change', contents }).payload
          .number,
    );
    const { groups, merge } = github.queue(numbers);
    const seen = await Promise.all(groups.map(({ sha }) => readFiles(rest, sha)));
    expect(seen).toMatchObject([
      { a: '2', b: '1' },
      { a: '2', b: '2' },
    ]);
    expect(groups[1]?.payload.merge_group.head_sha).toBe(groups[1]?.sha);
    expect(await readFiles(rest, merge().push.sha)).toMatchObject({ a: '2', b: '2' });
  });

  test.each<[string, Contents, Contents, boolean]>([
    ['different files', { a: '2' }, { b: '2' }, false],
    ['the same change', { a: '2', b: null }, { a: '2', b: null }, false],
    ['different text', { a: '2' }, { a: '3' }, true],
    ['a change and a removal', { a: '2' }, { a: null }, true],
    ['text and mode', { a: '2' }, { a: { text: '1', executable: true } }, true],
    ['two new files with the same name', { n: '2' }, { n: '3' }, true],
    ['a file and a directory with the same name', { n: '2' }, { 'n/m': '2' }, true],
  ])('with %s', async (_case, ours, theirs, conflict) => {
    const { github } = await start({ files: { a: '1', b: '1' } });
    const { number } = github.openPullRequest({
      branch: 'x',
      title: 'x',
      contents: theirs,
    }).payload;
    github.push({ contents: ours });
    const merge = () => github.merge(number, 'squash');
    if (conflict) expect(merge).toThrow('Pull Request is not mergeable');
    else expect(merge).not.toThrow();
  });

  test('find the merge base with their base branch', async () => {
    const { github, rest } = await start({ files: { a: '1', b: '1' } });
    const { payload } = github.openPullRequest({ branch: 'x', title: 'x', contents: { a: '2' } });
    const head = payload.pull_request.head.sha;
    github.merge(payload.number, 'merge');
    // The branch continues after its merge: against the first commit, both sides would have changed `a`.
    github.push({ contents: { a: '3' } });
    const again = github.openPullRequest({ branch: 'x', title: 'again', head }).payload.number;
    const { sha } = github.pushToPullRequest(again, { contents: { b: '2' } });
    expect(await readFiles(rest, sha)).toMatchObject({ a: '3', b: '2' });
  });
});

describe('a state file', () => {
  test('stores files', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'github-'));
    const stateFile = join(directory, 'state.json');
    try {
      const first = await start({ stateFile, files: { a: '1' } });
      await first.github.stop();
      running.splice(0);
      const { github, rest } = await start({ stateFile, files: { a: 'not read' } });
      expect(await readFiles(rest, github.schedule().sha)).toMatchObject({ a: '1' });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('from before files were stored has none, and later commits can have some', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'github-'));
    const stateFile = join(directory, 'state.json');
    try {
      const first = await start({ stateFile });
      const { number } = first.github.openPullRequest({ branch: 'x', title: 'x' }).payload;
      await first.github.stop();
      running.splice(0);
      const state = JSON.parse(readFileSync(stateFile, 'utf8'));
      for (const name of ['blobs', 'trees', 'roles', 'mergeabilityDelay', 'treeLimit'])
        delete state[name];
      for (const commit of Object.values<{ tree?: string }>(state.commits)) delete commit.tree;
      const pull = state.pulls[number];
      pull.mergeCommitSha = pull.testMerge;
      for (const name of ['testMerge', 'tested', 'conflict', 'unknownAnswers']) delete pull[name];
      writeFileSync(stateFile, JSON.stringify(state));
      const { github, rest } = await start({ stateFile });
      const commit_sha = github.schedule().sha;
      const { data } = await rest.git.getCommit({ ...repo, commit_sha });
      expect(data.tree.sha).toBe(EMPTY_TREE);
      expect(await readFiles(rest, commit_sha)).toEqual({});
      const { sha } = github.pushToPullRequest(number, { contents: { a: '1' } });
      expect(await readFiles(rest, sha)).toEqual({ a: '1' });
      const get = () => rest.pulls.get({ ...repo, pull_number: number });
      expect((await get()).data).toMatchObject({ mergeable: null });
      expect((await get()).data).toMatchObject({ mergeable: true, merge_commit_sha: sha });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
