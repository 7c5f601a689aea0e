import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { Checks } from '../github/check.ts';
import { createClient } from '../github/client.ts';
import { logGroup } from '../runner/log-group.ts';
import { ClusterChecks } from './cluster-checks.ts';
import { DeployCheck } from './deploy-check.ts';

const KEY = 'k'.repeat(32);
const VIEW = { report: null, title: () => 'done', summary: () => 'All of it.' };

let github: GitHub;
let commit: string;
beforeEach(async () => {
  // Keeps workflow commands out of the test's log.
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  github = await startGitHub();
  commit = github.push().sha;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await github.stop();
});

function createDeployCheck({
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
  return new DeployCheck({
    checks: new ClusterChecks({
      checks: new Checks(client, repository),
      identity: `${cluster}/abc`,
      cluster,
      redact: (text) => text,
    }),
    key,
  });
}

const listChecks = () =>
  github.listCheckRuns(commit).map(({ name, status, conclusion }) => [name, status, conclusion]);

describe('the deploy check', () => {
  test('records the beginning per plan, and the success for all plans', async () => {
    const deployment = createDeployCheck();
    const readHistory = (digest: string) => createDeployCheck().readHistory(commit, digest);
    expect(await readHistory('one')).toEqual({ succeeded: false, begun: false });
    await deployment.begin(commit, { digest: 'one', required: true });
    expect(await readHistory('one')).toEqual({ succeeded: false, begun: true });
    expect(await readHistory('other')).toEqual({ succeeded: false, begun: false });
    await deployment.end('failure', VIEW);
    expect(await readHistory('one')).toEqual({ succeeded: false, begun: true });
    await createDeployCheck().resume(commit, 'nothing');
    await deployment.begin(commit, { digest: 'two', required: true });
    await deployment.end('success', VIEW);
    expect(await readHistory('one')).toEqual({ succeeded: true, begun: true });
    expect(await readHistory('other')).toEqual({ succeeded: true, begun: false });
  });

  test('says whether the last deploy ended while nodes still worked', async () => {
    const isContinuing = () => createDeployCheck().isContinuing(commit);
    expect(await isContinuing()).toBe(false);
    const deployment = createDeployCheck();
    await deployment.begin(commit, { digest: 'one', required: true });
    expect(await isContinuing()).toBe(false);
    await deployment.end('neutral', VIEW);
    expect(await isContinuing()).toBe(true);
    expect(await createDeployCheck({ cluster: 'orders-2' }).isContinuing(commit)).toBe(false);
    expect(await createDeployCheck().isContinuing(github.push().sha)).toBe(false);
    // Its review still counts, and the next run takes the same check run over.
    const { succeeded } = await createDeployCheck().readHistory(commit, 'one');
    expect(succeeded).toBe(false);
    const next = createDeployCheck();
    await next.resume(commit, 'one');
    await next.end('success', VIEW);
    expect(listChecks()).toEqual([['PostgreSQL deploy: orders', 'completed', 'success']]);
    expect(await isContinuing()).toBe(false);
  });

  test('belongs to its cluster, commit and key', async () => {
    const deployment = createDeployCheck();
    await deployment.begin(commit, { digest: 'one', required: true });
    const none = { succeeded: false, begun: false };
    expect(await createDeployCheck({ cluster: 'orders-2' }).readHistory(commit, 'one')).toEqual(
      none,
    );
    expect(await createDeployCheck({ key: '' }).readHistory(commit, 'one')).toEqual(none);
    expect(await createDeployCheck().readHistory(github.push().sha, 'one')).toEqual(none);
  });

  test('warns of a missing permission while other work is logged', async () => {
    const write = vi.mocked(process.stdout.write);
    write.mockClear();
    await logGroup('Apply', () => createDeployCheck({ checks: null }).resume(commit, 'nothing'));
    const log = write.mock.calls.map(([chunk]) => String(chunk)).join('');
    // The runner takes commands again just before it.
    expect(log).toMatch(/^::[0-9a-f-]{36}::\n::warning::github-token: may not read check runs/m);
  });

  test('marks the review as applied even if there is nothing to apply', async () => {
    const deployment = createDeployCheck();
    await deployment.resume(commit, 'nothing');
    await deployment.end('success', VIEW);
    expect(listChecks()).toEqual([['PostgreSQL deploy: orders', 'completed', 'success']]);
    // A second success adds no check run.
    const again = createDeployCheck();
    await again.resume(commit, 'nothing');
    await again.end('failure', VIEW);
    expect(listChecks()).toEqual([['PostgreSQL deploy: orders', 'completed', 'success']]);
  });

  test('of an interrupted deploy is completed by the next attempt', async () => {
    await createDeployCheck().begin(commit, { digest: 'one', required: true });
    const next = createDeployCheck();
    await next.resume(commit, 'nothing');
    await next.end('success', VIEW);
    expect(listChecks()).toEqual([['PostgreSQL deploy: orders', 'completed', 'success']]);
  });

  test('is required before an apply, unless it is optional: GitHub fails', async () => {
    github.failNext({ method: 'POST', path: /\/check-runs$/, times: 20, status: 422 });
    const deployment = createDeployCheck();
    await expect(deployment.begin(commit, { digest: 'one', required: true })).rejects.toThrow(
      /could not be recorded.*Nothing was changed; run the job again/,
    );
    await deployment.begin(commit, { digest: 'one', required: false });
    expect(listChecks()).toEqual([]);
  });

  test.each(['read', null] as const)(
    'is required before an apply, unless it is optional: permission %s',
    async (checks) => {
      const deployment = createDeployCheck({ checks });
      await expect(deployment.begin(commit, { digest: 'one', required: true })).rejects.toThrow(
        /could not be recorded.*Nothing was changed; give the job the permission checks: write/,
      );
      await deployment.begin(commit, { digest: 'one', required: false });
      await deployment.resume(commit, 'one');
      await deployment.end('success', VIEW);
      expect(listChecks()).toEqual([]);
    },
  );
});
