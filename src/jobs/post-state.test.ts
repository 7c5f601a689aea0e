import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { loadPostState, saveComment, saveEnd, saveRemark, saveWorkspaces } from './post-state.ts';

const comment = {
  repository: { owner: 'acme', repo: 'database' },
  number: 7,
  identity: 'orders/0123456789ab',
  run: { id: 20, attempt: 1 },
  shared: true,
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'afterwards-'));
  writeFileSync(join(folder, 'state'), '');
  vi.stubEnv('GITHUB_STATE', join(folder, 'state'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Passes the saved state on, like the runner between `main` and `post`. */
function handOver(): void {
  const state = readFileSync(join(folder, 'state'), 'utf8');
  for (const [, name, , value] of state.matchAll(/^(.+)<<(.+)\n([\s\S]*?)\n\2$/gm)) {
    vi.stubEnv(`STATE_${name}`, value);
  }
}

test('loads the comment with its run and layout', () => {
  saveComment(comment);
  handOver();
  expect(loadPostState()).toEqual({
    workspaces: [],
    comment,
    progress: null,
    undelivered: null,
    remark: null,
    child: null,
    check: null,
    terraform: null,
  });
});

test('loads the last report if GitHub did not accept it', () => {
  saveWorkspaces({ temporary: folder, directory: join(folder, 'terraform') });
  saveEnd({ undelivered: { body: 'done', short: null } });
  handOver();
  expect(loadPostState()).toMatchObject({
    progress: null,
    undelivered: { body: 'done', short: null },
  });
});

test('loads every workspace, and the reports of the first', () => {
  const own = { temporary: folder, directory: join(folder, 'terraform') };
  const other = { temporary: join(folder, 'other'), directory: join(folder, 'other-terraform') };
  saveWorkspaces(own, other);
  saveEnd({ undelivered: { body: 'done', short: null } });
  handOver();
  expect(loadPostState()).toMatchObject({
    workspaces: [own, other],
    undelivered: { body: 'done', short: null },
  });
});

test('loads what is to be said in an issue, until it is said', () => {
  saveWorkspaces({ temporary: folder, directory: join(folder, 'terraform') });
  const remark = {
    ...{ repository: comment.repository, identity: comment.identity, topic: 'rehearsal' as const },
    ...{ title: 'Not removed', body: 'It is billed.' },
  };
  saveRemark(remark);
  handOver();
  expect(loadPostState()).toMatchObject({ remark });
  saveRemark(null);
  expect(loadPostState()).toMatchObject({ remark: null });
  saveRemark(null);
});

test('loads null if no comment was saved', () => {
  expect(loadPostState()).toMatchObject({ comment: null });
});

test('does without a report that cannot be read', () => {
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  saveWorkspaces({ temporary: folder, directory: join(folder, 'terraform') });
  writeFileSync(join(folder, 'progress.json'), '{');
  handOver();
  expect(loadPostState()).toMatchObject({
    workspaces: [{ temporary: folder }],
    progress: null,
  });
  expect(stdout.mock.calls.join()).toContain('progress.json cannot be read');
  stdout.mockRestore();
});
