import { findBranchHead } from '../github/branch.ts';
import type { GitHubClient } from '../github/client.ts';
import { readRepositoryFile } from '../github/repository-file.ts';
import { findTestMerge } from '../github/test-merge.ts';
import { type ClusterFile, parseClusterFile } from '../inputs/cluster-file.ts';
import { explainSize, MAX_FILE_BYTES } from '../inputs/cluster-file-text.ts';
import { readClusterIdentity, readPlanLabel } from '../inputs/cluster-identity.ts';
import type { FileInput } from '../inputs/file-origin.ts';
import { RefusedInputsError } from '../inputs/refused-inputs-error.ts';
import type { StepInputs } from '../inputs/step-inputs.ts';
import { UserError } from '../messages/errors.ts';
import type { RunnerEnvironment } from '../runner/environment.ts';
import type { Intent, RunnableIntent } from '../runner/intent.ts';
import { checkConsent } from './fork-consent.ts';

/** The cluster file of a run and its intent, or why the run has nothing to do. */
export type ClusterFileLookup =
  | {
      /** Null: the step names no file. */
      readonly file: FileInput | null;
      readonly intent: RunnableIntent;
    }
  | { readonly idle: string };

type Run = Exclude<Intent, { kind: 'skip' }>;
type Review = Extract<Run, { kind: 'review' }>;

/** The parameters of the lookup. */
interface Search {
  readonly client: GitHubClient;
  readonly environment: RunnerEnvironment;
  readonly step: StepInputs;
  /** Path of the file in the repository. */
  readonly path: string;
}

/**
 * Checks what a run may read, and reads the cluster file through GitHub's API: for a pull request from its test merge,
 * for any other run at its own commit. A proposed file comes with the default branch's file, a merged one with the file
 * before the merge. Reads nothing from a fork's pull request until an account with write access requests its plan.
 *
 * @param options.path null: the step names no file
 * @throws RefusedInputsError if the file cannot be used; UserError if the token may not read it
 */
export async function findClusterFile(
  intent: Run,
  options: Omit<Search, 'path'> & { readonly path: string | null },
): Promise<ClusterFileLookup> {
  const { environment, step, path } = options;
  if (path === null) {
    if (intent.kind !== 'review') return { file: null, intent };
    const refusal = await checkMayPlan(intent, { ...options, existing: null });
    return refusal === null ? { file: null, intent: { ...intent, consent: null } } : refusal;
  }
  const search = { client: options.client, environment, step, path };
  switch (intent.kind) {
    case 'review':
      return findProposed(intent, search);
    case 'close':
    case 'await':
      return findExisting(intent, search);
    case 'deploy': {
      const [file, before] = await Promise.all([
        readCommit(intent.sha, search),
        intent.before === null ? null : readForComparison(intent.before, search),
      ]);
      if (file === null && before !== null) {
        return {
          idle: `commit ${intent.sha.slice(0, 7)} removes ${path}, which deploys nothing. If its cluster still exists, it keeps running, and nothing manages it: bring the file back, and run the action with command: destroy before you remove it.`,
        };
      }
      if (file === null) throw explainMissing(intent.sha, path);
      return { file: { file, origin: { kind: 'merged', before } }, intent };
    }
    default: {
      const elsewhere = explainOtherBranch(environment.event);
      if (elsewhere !== null) return { idle: elsewhere };
      const commit = 'sha' in intent ? intent.sha : environment.event.sha;
      const file = await readRequired(commit, search);
      return { file: { file, origin: { kind: 'default-branch' } }, intent };
    }
  }
}

/** Returns why a workflow started by hand on another branch does nothing: that branch's file was not reviewed. */
function explainOtherBranch({ name, payload, ref }: RunnerEnvironment['event']): string | null {
  const branch = payload.repository?.default_branch;
  if (name !== 'workflow_dispatch' || ref === `refs/heads/${branch}`) return null;
  return `the workflow was started by hand on ${ref}. A cluster file counts on the default branch (${branch ?? 'unknown'}); start the workflow there.`;
}

/** Returns why the pull request of a review may not be read; null if it may. */
async function checkMayPlan(
  { consent }: Review,
  search: Omit<Search, 'path'> & {
    readonly path: string | null;
    /** The default branch's file, which may name the label. */
    readonly existing: ClusterFile | null;
  },
): Promise<{ readonly idle: string } | null> {
  if (consent === null) return null;
  const { client, environment, step, existing: file, path } = search;
  const { repository } = environment;
  const allowPlanLabel = readPlanLabel({ step, file, path });
  const refusal = await checkConsent(client, { repository, consent, allowPlanLabel });
  return refusal === null ? null : { idle: refusal };
}

async function findProposed(intent: Review, search: Search): Promise<ClusterFileLookup> {
  const { client, environment, path, step } = search;
  const { repository } = environment;
  const branch = readDefaultBranch(environment);
  const branchFile = readFromBranch(branch, search);
  if (intent.consent !== null) {
    const refusal = await checkMayPlan(intent, { ...search, existing: await branchFile });
    if (refusal !== null) return refusal;
  }
  const agreed = { ...intent, consent: null };
  const { pullRequest: number, sha } = intent;
  if (number === null) {
    // A merge queue's commit is a proposal, too.
    const [file, existing] = await Promise.all([readRequired(sha, search), branchFile]);
    return {
      file: { file, origin: { kind: 'proposed', branch, existing } },
      intent: agreed,
    };
  }
  const [existing, merge] = await Promise.all([
    branchFile,
    findTestMerge(client, { repository, number, headSha: sha }),
  ]);
  const refuse = (problem: string) =>
    new RefusedInputsError(problem, readClusterIdentity({ step, file: existing, path }));
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
        `${path}:1: pull request #${number} conflicts with the branch that it targets, so there is no merged version of this file to plan. Resolve the conflict and push.`,
      );
    case 'unknown':
      throw refuse(
        `${path}:1: GitHub did not say what the merge of pull request #${number} would be (${merge.why}). Run the job again.`,
      );
  }
  const file = await readCommit(merge.commit, search).catch((error: unknown) => {
    throw error instanceof RefusedInputsError ? refuse(error.message) : error;
  });
  if (file !== null) {
    return {
      file: { file, origin: { kind: 'proposed', branch, existing } },
      intent: agreed,
    };
  }
  if (existing !== null && existing.problems.length === 0) {
    return {
      file: { file: existing, origin: { kind: 'default-branch' } },
      intent: { kind: 'abandon', pullRequest: number, sha, path, why: intent.why },
    };
  }
  throw refuse(
    existing === null
      ? `cluster-file: ${path} is neither on ${branch} nor in pull request #${number}. Give the path of a file from the root of the repository, e.g. clusters/orders.yml.`
      : explainAbandonment({ path, pullRequest: number }),
  );
}

/** Explains why a pull request may not remove the file of a cluster that may exist. */
export function explainAbandonment({
  path,
  pullRequest,
}: {
  path: string;
  pullRequest: number;
}): string {
  return `${path}:1: pull request #${pullRequest} removes this file. Its cluster would keep running, but nothing would manage it. Keep the file as long as the cluster exists: run the action with command: destroy first, then this job again.`;
}

/** Finds the default branch's file, for comments that do not depend on the pull request's file. */
async function findExisting(
  intent: Extract<Run, { kind: 'close' | 'await' }>,
  search: Search,
): Promise<ClusterFileLookup> {
  const { event } = search.environment;
  const branch = readDefaultBranch(search.environment);
  const existing = await readFromBranch(branch, search);
  if (existing !== null) {
    // The runs of the default branch report the file's problems.
    return existing.problems.length > 0
      ? {
          idle: `${search.path} on ${branch} cannot be read, so nothing is published about its cluster.`,
        }
      : { file: { file: existing, origin: { kind: 'default-branch' } }, intent };
  }
  const head = event.payload.pull_request?.head.sha;
  // A new cluster is described only by the pull request's own file.
  const own =
    intent.kind === 'close' && !intent.fromFork && head !== undefined
      ? await readCommit(head, search).catch(() => null)
      : null;
  return own === null || own.problems.length > 0
    ? {
        idle:
          intent.kind === 'await'
            ? `${search.path} is not on ${branch} yet, and nothing is read from a fork before a plan is requested. Anyone with write access requests one with the label of allow-plan-label.`
            : `${search.path} is not on ${branch}, so the cluster and its comment are unknown.`,
      }
    : { file: { file: own, origin: { kind: 'default-branch' } }, intent };
}

/** Reads the file at the run's own commit, which must have it. */
async function readRequired(commit: string, search: Search): Promise<ClusterFile> {
  const file = await readCommit(commit, search);
  if (file !== null) return file;
  throw explainMissing(commit, search.path);
}

function explainMissing(commit: string, path: string): RefusedInputsError {
  return new RefusedInputsError(
    `cluster-file: ${path} is not in commit ${commit.slice(0, 7)}. Give the path of a file from the root of the repository, e.g. clusters/orders.yml.`,
    null,
  );
}

/** Reads the default branch's present file: the base of a test merge may be another branch. */
async function readFromBranch(branch: string, search: Search): Promise<ClusterFile | null> {
  const { repository } = search.environment;
  const head = await findBranchHead(search.client, { repository, branch });
  if (head === null) throw new UserError(`GitHub knows no branch ${branch}. Run the job again.`);
  return readForComparison(head, search);
}

/** Reads a file to compare another one with; anything but a plain file becomes a file with problems. */
async function readForComparison(commit: string, search: Search): Promise<ClusterFile | null> {
  return readCommit(commit, search).catch((error: unknown) => {
    if (!(error instanceof RefusedInputsError)) throw error;
    return { path: search.path, values: new Map(), problems: error.problems, secrets: [] };
  });
}

function readDefaultBranch({ event }: RunnerEnvironment): string {
  const branch = event.payload.repository?.default_branch;
  if (branch !== undefined) return branch;
  throw new UserError(
    'The event does not name the default branch, which decides what a plan must not take from a pull request. Run the action on an event of GitHub.',
  );
}

/** Reads the file of a commit; null if the commit does not have it. */
async function readCommit(commit: string, search: Search): Promise<ClusterFile | null> {
  const { client, environment, path } = search;
  const { repository } = environment;
  const found = await readRepositoryFile(client, {
    repository,
    commit,
    path,
    limit: MAX_FILE_BYTES,
  });
  switch (found.kind) {
    case 'missing':
      return null;
    case 'file':
      return parseClusterFile(path, found.bytes);
    case 'too-large':
      throw new RefusedInputsError(`${path}:1: ${explainSize(found.size)}`, null);
    case 'other':
      throw new RefusedInputsError(
        `${path}:1: ${found.path} is ${found.what}. Allowed: a plain file in plain folders, so that what is reviewed is what is read.`,
        null,
      );
  }
}
