import * as core from '@actions/core';
import { locateRepository } from '../cluster/backup.ts';
import { isSameRepository } from '../cluster/deployed-backup.ts';
import { findBranchHead } from '../github/branch.ts';
import type { GitHubClient } from '../github/client.ts';
import { readMessage } from '../messages/errors.ts';
import type { DeployCheck } from '../review/deploy-check.ts';
import type { RunnableIntent } from '../runner/intent.ts';
import type { Job } from './job.ts';

/** Inputs that a deploy needs and a comparison does not. */
const NEEDED = {
  'ssh-private-key': 'sshPrivateKey',
  'postgres-password': 'postgresPassword',
  'replication-password': 'replicationPassword',
} as const;

/** Returns the inputs that this job lacks to finish a deploy. */
function listMissing({ spec, secrets }: Job['inputs']): string[] {
  const { name: cluster, backup, restore } = spec;
  const from = restore?.from ?? null;
  const isEncrypted = (backup?.cipher ?? 'none') !== 'none';
  const isOwn =
    from !== null &&
    backup !== null &&
    isSameRepository({ ...from, path: locateRepository(from) }, { backup, cluster });
  // A restore that was cut is begun again, and falls back to the key of the backups. Only the deploy's job knows whether the
  // source has that key.
  const needsOther = from !== null && from.cipher !== 'none' && !(isOwn && isEncrypted);
  const remark = isEncrypted
    ? ' (give it also if it is the same as backup-cipher-key, or remove restore from the cluster file once a node holds data)'
    : '';
  return [
    ...Object.entries(NEEDED)
      .filter(([, secret]) => secrets[secret] === '')
      .map(([input]) => input),
    ...(isEncrypted && secrets.backupCipherKey === '' ? ['backup-cipher-key'] : []),
    ...(needsOther && secrets.restoreCipherKey === '' ? [`restore-cipher-key${remark}`] : []),
  ];
}

/**
 * Finds the deploy that a scheduled run finishes: the last one of the default branch's head, if it ended while nodes still
 * worked. Returns the intent to deploy that commit again; null if there is nothing to finish, or this job cannot.
 */
export async function findUnfinishedDeploy(
  job: Job,
  options: { client: GitHubClient; deployCheck: DeployCheck; commit: string },
): Promise<Extract<RunnableIntent, { kind: 'deploy' }> | null> {
  const { client, deployCheck, commit } = options;
  const { event, repository } = job.environment;
  // A schedule runs on the default branch.
  const branch = event.ref.replace(/^refs\/heads\//, '');
  const short = commit.slice(0, 7);
  try {
    if (!(await deployCheck.isContinuing(commit))) return null;
    // A newer commit has a deploy of its own, which must not be undone.
    if ((await findBranchHead(client, { repository, branch })) !== commit) return null;
  } catch (error) {
    core.warning(`An unfinished deploy could not be looked for (${readMessage(error)}).`);
    return null;
  }
  const missing = listMissing(job.inputs);
  if (missing.length > 0) {
    core.warning(
      `The deploy of ${short} is not finished: its last run ended while nodes still worked. This job cannot finish it without ${missing.join(', ')}. Run the job of that deploy again, or give the scheduled job the deploy's inputs.`,
    );
    return null;
  }
  core.notice(`The deploy of ${short} is not finished; this run finishes it.`);
  return {
    kind: 'deploy',
    pullRequest: null,
    withoutSecrets: null,
    branch,
    pushedAt: null,
    before: null,
    sha: commit,
    why: `the deploy of ${short} is not finished`,
  };
}
