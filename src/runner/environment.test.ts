import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readEnvironment } from './environment.ts';

let folder: string;
let env: Record<string, string>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'environment-'));
  writeFileSync(join(folder, 'event.json'), '{"number":7}');
  env = {
    GITHUB_ACTION_REF: 'v1',
    GITHUB_ACTOR: 'alice',
    GITHUB_API_URL: 'https://api.github.com',
    GITHUB_EVENT_NAME: 'push',
    GITHUB_EVENT_PATH: join(folder, 'event.json'),
    GITHUB_REF: 'refs/heads/main',
    GITHUB_REPOSITORY: 'acme/database',
    GITHUB_RUN_ATTEMPT: '2',
    GITHUB_RUN_ID: '19392868260',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_SHA: 'abc',
    GITHUB_WORKSPACE: '/work',
    RUNNER_TEMP: '/tmp',
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

test('reads run, repository and event', async () => {
  expect(await readEnvironment(env)).toMatchObject({
    run: { id: 19_392_868_260, attempt: 2 },
    runUrl: 'https://github.com/acme/database/actions/runs/19392868260',
    actionRef: 'v1',
    repository: { owner: 'acme', repo: 'database' },
    event: { actor: 'alice', payload: { number: 7 } },
  });
});

test('has no version for a local action', async () => {
  expect(await readEnvironment({ ...env, GITHUB_ACTION_REF: '' })).toMatchObject({
    actionRef: null,
  });
});

test('names each missing variable once', async () => {
  const { GITHUB_RUN_ID: _id, GITHUB_SHA: _sha, ...rest } = env;
  await expect(readEnvironment(rest)).rejects.toThrow('not set: GITHUB_RUN_ID, GITHUB_SHA.');
});

test('refuses a run id that is not a number', async () => {
  await expect(readEnvironment({ ...env, GITHUB_RUN_ID: 'x' })).rejects.toThrow(
    'GITHUB_RUN_ID is x',
  );
});
