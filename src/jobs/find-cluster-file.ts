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
import { checkConsent } from './plan-consent.ts';

/** What describes the cluster of a run beside the step, or why the run has nothing to do. */
export type ClusterFileLookup =
  | {
      /** Null: the step names no file. */
      readonly file: FileInput | null;
      readonly intent: RunnableIntent;
    }
  | { readonly idle: string };

type Run = Exclude<Intent, { kind: 'skip' }>;
type Review = Extract<Run, { kind: 'review' }>;

/** What a file is looked for with. */
interface Search {
  readonly client: GitHubClient;
  readonly environment: RunnerEnvironment;
  readonly step: StepInputs;
  /** Where the file is in the repository. */
  readonly path: string;
}

/**
 * Finds out what a run may read, and reads the cluster file through GitHub's API: of a pull request as its merge would
 * leave it, of any other run at its own commit. Where somebody proposes it, the default branch's is read as well, and of
 * a merge the one before it. Nothing of a fork's pull request is read before somebody who may write asked for its plan.
 *
 * @param search.path null: the step names no file
 * @throws RefusedInputs where the file cannot be used; UserError where GitHub does not let the token read it
 */
export async function findClusterFile(
  intent: Run,
  search: Omit<Search, 'path'> & { readonly path: string | null },
): Promise<ClusterFileLookup> {
  const { environment, step, path } = search;
  if (path === null) {
    if (intent.kind !== 'review') return { file: null, intent };
    const refusal = await checkMayPlan(intent, { ...search, standing: null });
    return refusal === null ? { file: null, intent: { ...intent, consent: null } } : refusal;
  }
  const there = { client: search.client, environment, step, path };
  switch (intent.kind) {
    case 'review':
      return findProposed(intent, there);
    case 'close':
    case 'await':
      return findExisting(intent, there);
    case 'deploy': {
      const [file, before] = await Promise.all([
        readRequired(intent.sha, there),
        intent.before === null ? null : readForComparison(intent.before, there),
      ]);
      return { file: { file, origin: { kind: 'merged', before } }, intent };
    }
    default: {
      const elsewhere = explainOtherBranch(environment.event);
      if (elsewhere !== null) return { idle: elsewhere };
      const commit = 'sha' in intent ? intent.sha : environment.event.sha;
      const file = await readRequired(commit, there);
      return { file: { file, origin: { kind: 'default-branch' } }, intent };
    }
  }
}

/** A workflow can be started by hand on any branch, whose file nobody has reviewed. */
function explainOtherBranch({ name, payload, ref }: RunnerEnvironment['event']): string | null {
  const branch = payload.repository?.default_branch;
  if (name !== 'workflow_dispatch' || ref === `refs/heads/${branch}`) return null;
  return `the workflow was started by hand on ${ref}. A cluster file counts on the default branch (${branch ?? 'unknown'}); start the workflow there.`;
}

/** Why the pull request of a review may not be read; null where it may. */
async function checkMayPlan(
  { consent }: Review,
  search: Omit<Search, 'path'> & {
    readonly path: string | null;
    readonly standing: ClusterFile | null;
  },
): Promise<{ readonly idle: string } | null> {
  if (consent === null) return null;
  const { client, environment, step, standing: file, path } = search;
  const { repository } = environment;
  const allowPlanLabel = readPlanLabel({ step, file, path });
  const refusal = await checkConsent(client, { repository, consent, allowPlanLabel });
  return refusal === null ? null : { idle: refusal };
}

async function findProposed(intent: Review, search: Search): Promise<ClusterFileLookup> {
  const { client, environment, path, step } = search;
  const { repository } = environment;
  const branch = readDefaultBranch(environment);
  const standingFile = readFromBranch(branch, search);
  if (intent.consent !== null) {
    const refusal = await checkMayPlan(intent, { ...search, standing: await standingFile });
    if (refusal !== null) return refusal;
  }
  const agreed = { ...intent, consent: null };
  const { pullRequest: number, sha } = intent;
  if (number === null) {
    // What a queue is about to merge is not merged yet.
    const [file, standing] = await Promise.all([readRequired(sha, search), standingFile]);
    return {
      file: { file, origin: { kind: 'proposed', branch, existing: standing } },
      intent: agreed,
    };
  }
  const [standing, merge] = await Promise.all([
    standingFile,
    findTestMerge(client, { repository, number, headSha: sha }),
  ]);
  const refuse = (problem: string) =>
    new RefusedInputsError(problem, readClusterIdentity({ step, file: standing, path }));
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
  const file = await readCommit(merge.commit, search).catch((error: unknown) => {
    throw error instanceof RefusedInputsError ? refuse(error.message) : error;
  });
  if (file !== null) {
    return {
      file: { file, origin: { kind: 'proposed', branch, existing: standing } },
      intent: agreed,
    };
  }
  throw refuse(
    standing === null
      ? `cluster-file: ${path} is neither on ${branch} nor in pull request #${number}. Give the path of a file from the root of the repository, e.g. clusters/orders.yml.`
      : `${path}:1: pull request #${number} removes this file. Its cluster would stay as it is, and nobody would look after it. Keep the file as long as the cluster stands; afterwards take its job out of the workflow, too.`,
  );
}

/** The default branch's file, for what is said without a look at the pull request's. */
async function findExisting(
  intent: Extract<Run, { kind: 'close' | 'await' }>,
  search: Search,
): Promise<ClusterFileLookup> {
  const { event } = search.environment;
  const branch = readDefaultBranch(search.environment);
  const standing = await readFromBranch(branch, search);
  if (standing !== null) {
    // With something wrong in it, its own runs are told so.
    return standing.problems.length > 0
      ? { idle: `${search.path} on ${branch} cannot be read, so nothing is said of its cluster.` }
      : { file: { file: standing, origin: { kind: 'default-branch' } }, intent };
  }
  const head = event.payload.pull_request?.head.sha;
  // The comment of a new cluster is found by what its own file says.
  const own =
    intent.kind === 'close' && !intent.fromFork && head !== undefined
      ? await readCommit(head, search).catch(() => null)
      : null;
  return own === null || own.problems.length > 0
    ? {
        idle:
          intent.kind === 'await'
            ? `${search.path} is not on ${branch} yet, and of a fork nothing is read before a plan of it is asked for. Somebody with write access asks for one with the label that allow-plan-label names.`
            : `${search.path} is not on ${branch}, and nothing is known of a comment on its cluster.`,
      }
    : { file: { file: own, origin: { kind: 'default-branch' } }, intent };
}

/** The file of a run at its own commit. */
async function readRequired(commit: string, search: Search): Promise<ClusterFile> {
  const file = await readCommit(commit, search);
  if (file !== null) return file;
  throw new RefusedInputsError(
    `cluster-file: ${search.path} is not in commit ${commit.slice(0, 7)}. Give the path of a file from the root of the repository, e.g. clusters/orders.yml.`,
    null,
  );
}

/** The default branch's file, as it is now: the base of a test merge may be another branch's. */
async function readFromBranch(branch: string, search: Search): Promise<ClusterFile | null> {
  const { repository } = search.environment;
  const head = await findBranchHead(search.client, { repository, branch });
  if (head === null) throw new UserError(`GitHub knows no branch ${branch}. Run the job again.`);
  return readForComparison(head, search);
}

/** A file that another one is compared with; what is no plain file there is one that cannot be read. */
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

/** The file of a commit; null where that has none. */
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
