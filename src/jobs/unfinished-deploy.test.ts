import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import type { BackupSource, BackupSpec } from '../cluster/backup.ts';
import { createBackup, createSource } from '../cluster/testing/fixtures.ts';
import { Checks } from '../github/check.ts';
import { createClient } from '../github/client.ts';
import { ClusterChecks } from '../review/cluster-checks.ts';
import { DeployCheck, type DeployConclusion } from '../review/deploy-check.ts';
import { createJob } from './testing/job.ts';
import { findUnfinishedDeploy } from './unfinished-deploy.ts';

let github: GitHub;
let commit: string;
let log: string[];
beforeEach(async () => {
  log = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    log.push(String(text));
    return true;
  });
  github = await startGitHub();
  commit = github.push().sha;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await github.stop();
});

const SECRETS = {
  ...{ sshPrivateKey: 'k', postgresPassword: 'p', replicationPassword: 'r' },
  ...{ backupCipherKey: '', restoreCipherKey: '' },
};
const ENCRYPTED = createBackup({ cipher: 'aes-256-cbc' });
const SOURCE = createSource({ cipher: 'aes-256-cbc' });
const repository = { owner: 'acme', repo: 'database' };

function open({ checks: access = 'write' as 'write' | null } = {}) {
  const token = github.createToken({
    permissions: { contents: 'read', ...(access && { checks: access }) },
  });
  const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 1 });
  const checks = new ClusterChecks({
    ...{ checks: new Checks(client, repository), identity: 'orders/abc' },
    ...{ cluster: 'orders', redact: (text: string) => text },
  });
  return { client, deployCheck: new DeployCheck({ checks, key: '' }) };
}

async function endDeploy(conclusion: DeployConclusion): Promise<void> {
  const { deployCheck } = open();
  await deployCheck.begin(commit, { digest: 'one', required: true });
  await deployCheck.end(conclusion, { report: null, title: () => 'x', summary: () => 'x' });
}

function find(
  secrets: Partial<typeof SECRETS> = {},
  { backup = null, from }: { backup?: BackupSpec | null; from?: BackupSource } = {},
) {
  const job = createJob({
    inputs: {
      spec: { backup, restore: from ? { from, time: null } : null },
      secrets: { ...SECRETS, ...secrets },
    },
  });
  return findUnfinishedDeploy(job, { ...open(), commit });
}

describe('a scheduled run', () => {
  test('finishes the deploy that ended while nodes still worked', async () => {
    await endDeploy('neutral');
    expect(await find()).toMatchObject({ kind: 'deploy', sha: commit, branch: 'main' });
    expect(log.join('')).toContain('this run finishes it');
  });

  test.each(['success', 'failure', 'cancelled'] as const)('leaves one that is %s', async (end) => {
    await endDeploy(end);
    expect(await find()).toBeNull();
    expect(log).toEqual([]);
  });

  test('leaves a commit without a deploy', async () => {
    expect(await find()).toBeNull();
  });

  test('leaves a commit that is not the head any more', async () => {
    await endDeploy('neutral');
    github.push();
    expect(await find()).toBeNull();
  });

  test('leaves one that was finished by a later run', async () => {
    await endDeploy('neutral');
    await endDeploy('success');
    expect(await find()).toBeNull();
  });

  test('lacks the key of encrypted backups', async () => {
    await endDeploy('neutral');
    expect(await find({}, { backup: ENCRYPTED })).toBeNull();
    expect(log.join('')).toMatch(/cannot finish it without backup-cipher-key\./);
  });

  test.each<[string, Parameters<typeof find>, string]>([
    ['of an encrypted source', [{}, { from: SOURCE }], 'restore-cipher-key.'],
    [
      'of another encrypted source',
      [{ backupCipherKey: 'b' }, { backup: ENCRYPTED, from: SOURCE }],
      'restore-cipher-key (give it also if it is the same as backup-cipher-key, or remove restore from the cluster file once a node holds data).',
    ],
  ])('lacks the key %s', async (_, [secrets, spec], missing) => {
    await endDeploy('neutral');
    expect(await find(secrets, spec)).toBeNull();
    expect(log.join('')).toContain(`cannot finish it without ${missing} Run`);
    expect(await find({ ...secrets, restoreCipherKey: 's' }, spec)).not.toBeNull();
  });

  test('needs no second key to restore the backups of the cluster itself, or ones that are not encrypted', async () => {
    await endDeploy('neutral');
    const own = { backup: ENCRYPTED, from: { ...SOURCE, prefix: 'production', cluster: 'orders' } };
    expect(await find({ backupCipherKey: 'b' }, own)).not.toBeNull();
    expect(await find({}, { from: createSource() })).not.toBeNull();
  });

  test('says which inputs it lacks', async () => {
    await endDeploy('neutral');
    expect(await find({ postgresPassword: '', replicationPassword: '' })).toBeNull();
    expect(log.join('')).toMatch(
      /^::warning::The deploy of [0-9a-f]{7} is not finished.*without postgres-password, replication-password\. Run the job of that deploy again/,
    );
  });

  test('needs no permission for check runs to look for drift', async () => {
    await endDeploy('neutral');
    const job = createJob();
    expect(await findUnfinishedDeploy(job, { ...open({ checks: null }), commit })).toBeNull();
    expect(log.join('')).not.toContain('::warning::');
  });

  test('goes on without an answer of GitHub', async () => {
    await endDeploy('neutral');
    const { client, deployCheck } = open();
    await github.stop();
    const job = createJob();
    expect(await findUnfinishedDeploy(job, { client, deployCheck, commit })).toBeNull();
    expect(log.join('')).toContain('could not be looked for');
    github = await startGitHub();
  });
});
