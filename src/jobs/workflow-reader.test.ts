import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createWorkflowReader } from './workflow-reader.ts';

const PATH = '.github/workflows/postgres.yml';

let github: GitHub;
let workspace: string;
let env: Record<string, string>;
let token: string;
beforeEach(async () => {
  github = await startGitHub({
    files: { [PATH]: 'old', '.github/workflows/link.yml': { link: 'x' } },
  });
  workspace = mkdtempSync(join(tmpdir(), 'workflow-reader-'));
  env = {
    GITHUB_WORKSPACE: workspace,
    GITHUB_WORKFLOW_SHA: github.schedule().sha,
    GITHUB_API_URL: github.urls.api,
    GITHUB_REPOSITORY: 'acme/database',
  };
  token = github.createToken({ permissions: { contents: 'read' } });
  github.push({ contents: { [PATH]: 'new' } });
});
afterEach(async () => {
  await github.stop();
  rmSync(workspace, { recursive: true });
});

test('without a checkout it reads the workflow that ran, through the API', async () => {
  expect(await createWorkflowReader(env, token)(PATH)).toBe('old');
  const next = { ...env, GITHUB_WORKFLOW_SHA: github.schedule().sha };
  expect(await createWorkflowReader(next, token)(PATH)).toBe('new');
});

test('a checkout comes first', async () => {
  mkdirSync(join(workspace, '.github/workflows'), { recursive: true });
  writeFileSync(join(workspace, PATH), 'checked out');
  expect(await createWorkflowReader(env, token)(PATH)).toBe('checked out');
});

test.each<[string, () => Promise<string | null>]>([
  ['a file that is not there', () => createWorkflowReader(env, token)('.github/workflows/no.yml')],
  ['a link', () => createWorkflowReader(env, token)('.github/workflows/link.yml')],
  ['a run without a token', () => createWorkflowReader(env, '')(PATH)],
  [
    'a token that may not read',
    () => createWorkflowReader(env, github.createToken({ permissions: {} }))(PATH),
  ],
  [
    'a commit that nobody knows',
    () => createWorkflowReader({ ...env, GITHUB_WORKFLOW_SHA: 'f'.repeat(40) }, token)(PATH),
  ],
  ['no commit', () => createWorkflowReader({ ...env, GITHUB_WORKFLOW_SHA: '' }, token)(PATH)],
])('%s is null', async (_, read) => {
  expect(await read()).toBeNull();
});
