import * as core from '@actions/core';
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
  const missing = Object.entries(NEEDED)
    .filter(([, secret]) => job.inputs.secrets[secret] === '')
    .map(([input]) => input);
  const { spec, secrets } = job.inputs;
  if ((spec.backup?.cipher ?? 'none') !== 'none' && secrets.backupCipherKey === '') {
    missing.push('backup-cipher-key');
  }
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
