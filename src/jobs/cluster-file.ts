import * as core from '@actions/core';
import type { RunnerEnvironment } from '../environment.ts';
import { UserError } from '../errors.ts';
import { findBranchHead } from '../github/branch.ts';
import type { GitHubClient } from '../github/client.ts';
import { readRepositoryFile } from '../github/repository-file.ts';
import { findTestMerge } from '../github/test-merge.ts';
import {
  type ClusterFile,
  explainSize,
  MOST_FILE_BYTES,
  parseClusterFile,
} from '../inputs/cluster-file.ts';
import { type FileInput, readLabel, readPlanLabel } from '../inputs/inputs.ts';
import { RefusedInputs } from '../inputs/refused.ts';
import type { StepInputs } from '../inputs/step.ts';
import type { Intent } from '../intent.ts';
import { checkConsent } from './consent.ts';

/** The cluster file of a run, or why the run has nothing to do. */
export type FoundFile = { readonly file: FileInput } | { readonly idle: string };

type Run = Exclude<Intent, { kind: 'skip' }>;

/** What a file is looked for with. */
interface Search {
  readonly client: GitHubClient;
  readonly environment: RunnerEnvironment;
  /** Where the file is in the repository. */
  readonly path: string;
  readonly step: StepInputs;
}

/**
 * Reads the cluster file through GitHub's API: of a pull request as its merge would leave it, of any other run at its own
 * commit, and for what is not merged yet as the default branch has it, too. Nothing of a fork's pull request is read before somebody who may write
 * asked for its plan.
 *
 * @throws RefusedInputs where the file cannot be used; UserError where GitHub does not let the token read it
 */
export async function findClusterFile(intent: Run, search: Search): Promise<FoundFile> {
  if (intent.kind === 'review' && intent.pullRequest !== null) {
    const { pullRequest: number, sha } = intent;
    return findProposal(intent, { ...search, number, sha });
  }
  if (intent.kind === 'close' || intent.kind === 'await') return findStanding(intent, search);
  const commit = 'sha' in intent ? intent.sha : search.environment.event.sha;
  const branch = intent.kind === 'review' ? readDefaultBranch(search.environment) : null;
  const [file, standing] = await Promise.all([
    readAt(commit, search),
    // What a queue is about to merge is not merged yet.
    branch === null ? null : readStanding(branch, search),
  ]);
  if (file === null) {
    throw new RefusedInputs(
      `cluster-file: ${search.path} is not in commit ${commit.slice(0, 7)}. Give the path of a file from the root of the repository, e.g. clusters/orders.yml.`,
      null,
    );
  }
  return { file: { file, proposal: branch === null ? null : { branch, standing } } };
}

async function findProposal(
  intent: Extract<Run, { kind: 'review' }>,
  search: Search & { number: number; sha: string },
): Promise<FoundFile> {
  const { client, environment, path, step, number, sha } = search;
  const { repository } = environment;
  const branch = readDefaultBranch(environment);
  const standingFile = readStanding(branch, search);
  if (intent.consent !== null) {
    const allowPlanLabel = readPlanLabel({ step, file: await standingFile });
    const { consent } = intent;
    const problem = await checkConsent(client, {
      repository,
      consent,
      allowPlanLabel,
      commit: sha,
    });
    if (problem !== null) return { idle: problem.why };
  }
  const [standing, merge] = await Promise.all([
    standingFile,
    findTestMerge(client, { repository, number, headSha: sha }),
  ]);
  const refuse = (problem: string) =>
    new RefusedInputs(problem, readLabel({ step, file: standing }));
  switch (merge.kind) {
    case 'merge':
      break;
    case 'closed':
      return {
        idle: `pull request #${number} is ${merge.merged ? 'merged' : 'closed'}. To have a change planned, open another one.`,
      };
    case 'overtaken':
      return {
        idle: `${merge.head.slice(0, 7)} was pushed to pull request #${number} meanwhile; its own run plans it.`,
      };
    case 'conflict':
      throw refuse(
        `${path}:1: pull request #${number} conflicts with the branch that it is to be merged into, so nobody can say what its merge would make of this file. Resolve the conflict and push.`,
      );
    case 'unknown':
      throw refuse(
        `${path}:1: GitHub did not say what the merge of pull request #${number} would be (${merge.why}). Run the job again.`,
      );
  }
  const file = await readAt(merge.commit, search).catch((error: unknown) => {
    throw error instanceof RefusedInputs ? refuse(error.message) : error;
  });
  if (file !== null) return { file: { file, proposal: { branch, standing } } };
  throw refuse(
    standing === null
      ? `cluster-file: ${path} is neither on ${branch} nor in pull request #${number}. Give the path of a file from the root of the repository, e.g. clusters/orders.yml.`
      : `${path}:1: pull request #${number} removes this file. Its cluster would stay as it is, and nobody would look after it. Keep the file as long as the cluster stands; afterwards take its job out of the workflow, too.`,
  );
}

/** The default branch's file, for what is said without a look at the pull request's. */
async function findStanding(
  intent: Extract<Run, { kind: 'close' | 'await' }>,
  search: Search,
): Promise<FoundFile> {
  const branch = readDefaultBranch(search.environment);
  const standing = await readStanding(branch, search);
  if (standing !== null) return { file: { file: standing, proposal: null } };
  const { event } = search.environment;
  const head = event.payload.pull_request?.head.sha;
  // A new cluster's comment is found by what its own file says.
  const own =
    intent.kind === 'close' && head !== undefined
      ? await readAt(head, search).catch(() => null)
      : null;
  return own === null
    ? { idle: `${search.path} is not on ${branch}, so no cluster has a comment here.` }
    : { file: { file: own, proposal: { branch, standing: null } } };
}

/** The default branch's file; a test merge's own base may be one that the pull request had before. */
async function readStanding(branch: string, search: Search): Promise<ClusterFile | null> {
  const { repository } = search.environment;
  const head = await findBranchHead(search.client, { repository, branch });
  if (head === null) throw new UserError(`GitHub knows no branch ${branch}. Run the job again.`);
  return readAt(head, search).catch((error: unknown) => {
    if (!(error instanceof RefusedInputs)) throw error;
    // What is no file there describes no cluster; a pull request may put one in its place.
    core.warning(`On ${branch}: ${error.message}`);
    return null;
  });
}

function readDefaultBranch({ event }: RunnerEnvironment): string {
  const branch = event.payload.repository?.default_branch;
  if (branch === undefined) {
    throw new UserError(
      'The event does not name the default branch, which decides what a plan must not take from a pull request. Run the action on an event of GitHub.',
    );
  }
  return branch;
}

/** The file of a commit; null where that has none. */
async function readAt(commit: string, search: Search): Promise<ClusterFile | null> {
  const { client, environment, path } = search;
  const { repository } = environment;
  const found = await readRepositoryFile(client, {
    repository,
    commit,
    path,
    limit: MOST_FILE_BYTES,
  });
  switch (found.kind) {
    case 'missing':
      return null;
    case 'file':
      return parseClusterFile(path, found.bytes);
    case 'too-large':
      throw new RefusedInputs(`${path}:1: ${explainSize(found.size)}`, null);
    case 'other':
      throw new RefusedInputs(
        `${path}:1: ${found.path} is ${found.what}. Allowed: a plain file in plain folders, so that what is reviewed is what is read.`,
        null,
      );
  }
}
