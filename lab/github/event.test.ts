import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeGitHubContext } from '../runner/context.ts';
import type { WorkflowEvent } from './event.ts';
import type { GitHub } from './github.ts';
import { startGitHub } from './github.ts';

let github: GitHub;

beforeEach(async () => {
  github = await startGitHub({ files: { a: '1' } });
});

afterEach(() => github.stop());

const makeContext = (event: WorkflowEvent) =>
  makeGitHubContext({
    event,
    urls: github.urls,
    token: 'x',
    directories: { workspace: '/w', temp: '/t', toolCache: '/c' },
    runnerEnvironment: 'github-hosted',
    runId: 1,
    runAttempt: 1,
    job: 'plan',
    workflow: 'postgres',
    debug: false,
  });

describe('the event pull_request_target', () => {
  test('runs on the default branch, for every base branch', () => {
    github.createBranch('release');
    const opened = github.openPullRequest({ branch: 'x', title: 'x', base: 'release' });
    const main = github.push().sha;
    const event = github.asTarget(opened);
    expect(event).toEqual({
      ...opened,
      name: 'pull_request_target',
      ref: 'refs/heads/main',
      sha: main,
    });
    expect(event).toMatchObject({ headRef: 'x', baseRef: 'release', payload: opened.payload });
    expect(makeContext(event)).toMatchObject({
      event_name: 'pull_request_target',
      ref: 'refs/heads/main',
      ref_name: 'main',
      sha: main,
      head_ref: 'x',
      base_ref: 'release',
      workflow_ref: 'acme/database/.github/workflows/postgres.yml@refs/heads/main',
      workflow_sha: main,
    });
  });

  test.each([
    ['a branch', { author: 'alice' }, 'alice', [false, false]],
    ['a fork', { author: 'mallory', fork: true }, 'mallory', [true, false]],
    ['Dependabot', { author: 'dependabot[bot]' }, 'dependabot[bot]', [true, true]],
    ["Dependabot's, pushed by a person", { author: 'dependabot[bot]' }, 'alice', [false, false]],
    ["a person's, pushed by Dependabot", { author: 'alice' }, 'dependabot[bot]', [true, false]],
  ])('of %s', (_case, request, by, without) => {
    const { number } = github.openPullRequest({ branch: 'x', title: 'x', ...request }).payload;
    const event = github.pushToPullRequest(number, { by });
    const target = github.asTarget(event);
    expect([event.withoutSecrets, target.withoutSecrets]).toEqual(without);
  });

  test('starts a workflow despite a conflict, unlike pull_request', () => {
    const opened = github.openPullRequest({ branch: 'x', title: 'x', contents: { a: '2' } });
    github.push({ contents: { a: '3' } });
    const event = github.pushToPullRequest(opened.payload.number, { contents: { b: '2' } });
    expect(() => makeContext(event)).toThrow(
      'GitHub starts no workflow on pull_request: pull request 1 has a merge conflict.',
    );
    expect(makeContext(github.asTarget(event)).event_name).toBe('pull_request_target');
  });
});

test('names the user who added a label', () => {
  const { number } = github.openPullRequest({ branch: 'x', title: 'x' }).payload;
  for (const event of [
    github.label(number, 'allow-plan', 'tina'),
    github.unlabel(number, 'allow-plan', 'tina'),
  ])
    expect(event).toMatchObject({ actor: 'tina', payload: { sender: { login: 'tina' } } });
});

describe('the event workflow_dispatch', () => {
  test('runs on the requested branch', () => {
    github.createBranch('release');
    const release = github.push({ branch: 'release', contents: { b: '2' } });
    expect(release).toMatchObject({ ref: 'refs/heads/release', payload: { after: release.sha } });
    const main = github.push().sha;
    const { payload } = github.openPullRequest({ branch: 'change', title: 'x' });
    const head = payload.pull_request.head.sha;
    for (const [ref, sha] of [
      ['release', release.sha],
      ['main', main],
      ['change', head],
    ] as const)
      expect(github.workflowDispatch({ command: 'plan' }, 'w.yml', { ref })).toMatchObject({
        name: 'workflow_dispatch',
        ref: `refs/heads/${ref}`,
        sha,
        payload: { ref: `refs/heads/${ref}` },
      });
    expect(() => github.workflowDispatch({}, 'w.yml', { ref: 'none' })).toThrow(
      'No ref found for: none',
    );
  });
});
