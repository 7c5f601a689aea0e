import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { Checks } from '../github/check.ts';
import { createClient } from '../github/client.ts';
import { ClusterChecks } from './cluster-checks.ts';
import { DeployCheck } from './deploy-check.ts';

const KEY = 'k'.repeat(32);
const FACE = { report: null, title: () => 'done', summary: () => 'All of it.' };

let github: GitHub;
let commit: string;
beforeEach(async () => {
  // What the runner would read.
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  github = await startGitHub();
  commit = github.push().sha;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await github.stop();
});

function createDeployment({
  cluster = 'orders',
  key = KEY,
  checks = 'write',
}: {
  cluster?: string;
  key?: string;
  checks?: 'write' | 'read' | null;
} = {}): DeployCheck {
  const token = github.createToken({
    permissions: { contents: 'read', ...(checks && { checks }) },
  });
  const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 1 });
  const repository = { owner: 'acme', repo: 'database' };
  return new DeployCheck(
    new ClusterChecks({
      checks: new Checks(client, repository),
      identity: `${cluster}/abc`,
      cluster,
      redact: (text) => text,
    }),
    key,
  );
}

const listChecks = () =>
  github.listCheckRuns(commit).map(({ name, status, conclusion }) => [name, status, conclusion]);

describe('the deploy of a commit', () => {
  test('has begun with its plan, and has succeeded with any', async () => {
    const deployment = createDeployment();
    const recall = (digest: string) => createDeployment().readHistory(commit, digest);
    expect(await recall('one')).toEqual({ succeeded: false, begun: false });
    await deployment.begin(commit, { digest: 'one', required: true });
    expect(await recall('one')).toEqual({ succeeded: false, begun: true });
    expect(await recall('other')).toEqual({ succeeded: false, begun: false });
    await deployment.end('failure', FACE);
    expect(await recall('one')).toEqual({ succeeded: false, begun: true });
    await createDeployment().resume(commit, 'nothing');
    await deployment.begin(commit, { digest: 'two', required: true });
    await deployment.end('success', FACE);
    expect(await recall('one')).toEqual({ succeeded: true, begun: true });
    expect(await recall('other')).toEqual({ succeeded: true, begun: false });
  });

  test('is that of its cluster and commit alone, and begins under its key alone', async () => {
    const deployment = createDeployment();
    await deployment.begin(commit, { digest: 'one', required: true });
    const none = { succeeded: false, begun: false };
    expect(await createDeployment({ cluster: 'orders-2' }).readHistory(commit, 'one')).toEqual(
      none,
    );
    expect(await createDeployment({ key: '' }).readHistory(commit, 'one')).toEqual(none);
    expect(await createDeployment().readHistory(github.push().sha, 'one')).toEqual(none);
  });

  test('with nothing to apply spends the review as well', async () => {
    const deployment = createDeployment();
    await deployment.resume(commit, 'nothing');
    await deployment.end('success', FACE);
    expect(listChecks()).toEqual([['PostgreSQL deploy: orders', 'completed', 'success']]);
    // Once is enough.
    const again = createDeployment();
    await again.resume(commit, 'nothing');
    await again.end('failure', FACE);
    expect(listChecks()).toEqual([['PostgreSQL deploy: orders', 'completed', 'success']]);
  });

  test('that was interrupted is brought to its end by the next attempt', async () => {
    await createDeployment().begin(commit, { digest: 'one', required: true });
    const next = createDeployment();
    await next.resume(commit, 'nothing');
    await next.end('success', FACE);
    expect(listChecks()).toEqual([['PostgreSQL deploy: orders', 'completed', 'success']]);
  });

  test('does not begin where nobody could continue it, unless it need not', async () => {
    github.failNext({ method: 'POST', path: /\/check-runs$/, times: 20, status: 422 });
    const deployment = createDeployment();
    await expect(deployment.begin(commit, { digest: 'one', required: true })).rejects.toThrow(
      /could not be kept.*Nothing was changed; run the job again/,
    );
    await deployment.begin(commit, { digest: 'one', required: false });
    expect(listChecks()).toEqual([]);
  });

  test.each(['read', null] as const)(
    'needs to write check runs, unless it need not: %s',
    async (checks) => {
      const deployment = createDeployment({ checks });
      await expect(deployment.begin(commit, { digest: 'one', required: true })).rejects.toThrow(
        /could not be kept.*Nothing was changed; give the job the permission checks: write/,
      );
      await deployment.begin(commit, { digest: 'one', required: false });
      await deployment.resume(commit, 'one');
      await deployment.end('success', FACE);
      expect(listChecks()).toEqual([]);
    },
  );
});
