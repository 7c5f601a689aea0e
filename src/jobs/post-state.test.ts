import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { loadPostState, saveComment, saveEnd, saveWorkspace } from './post-state.ts';

const place = {
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

/** What the runner does between the two steps of an action. */
function handOver(): void {
  const state = readFileSync(join(folder, 'state'), 'utf8');
  for (const [, name, , value] of state.matchAll(/^(.+)<<(.+)\n([\s\S]*?)\n\2$/gm)) {
    vi.stubEnv(`STATE_${name}`, value);
  }
}

it('knows afterwards where the comment is, whose it is, and whether it is shared', () => {
  saveComment(place);
  handOver();
  expect(loadPostState()).toEqual({
    temporary: null,
    directory: null,
    place,
    progress: null,
    unsaid: null,
    child: null,
    check: null,
    terraform: null,
  });
});

it('knows the last words that GitHub did not take', () => {
  saveWorkspace({ temporary: folder, directory: join(folder, 'terraform') });
  saveEnd({ undelivered: { body: 'done', short: null } });
  handOver();
  expect(loadPostState()).toMatchObject({
    progress: null,
    unsaid: { body: 'done', short: null },
  });
});

it('knows of no comment when none was remembered', () => {
  expect(loadPostState()).toMatchObject({ place: null });
});
