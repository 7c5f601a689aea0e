import { Problem } from './problem.ts';
import type { Call } from './route.ts';
import type { State } from './state.ts';
import { defaultBranch, readHead, readMainHead } from './state.ts';

/** Returns the newest commit of a branch of the repository, or of a pull request's branch; forks have their own. */
export function findBranchHead(state: State, branch: string): string | undefined {
  if (branch === defaultBranch) return readMainHead(state);
  if (Object.hasOwn(state.branches, branch)) return readHead(state, branch);
  return Object.values(state.pulls)
    .findLast((pull) => pull.branch === branch && pull.headOwner === state.owner)
    ?.commits.at(-1);
}

/**
 * Finds the commit of a name: a commit's id, a branch, `HEAD`, or a ref that GitHub keeps for every pull
 * request, also for forks (`refs/pull/N/head`, `refs/pull/N/merge`).
 */
export function findCommit(state: State, ref: string): string | undefined {
  if (Object.hasOwn(state.commits, ref)) return ref;
  if (ref === 'HEAD') return readMainHead(state);
  const [, number = '', kind] = /^(?:refs\/)?pull\/(\d+)\/(head|merge)$/.exec(ref) ?? [];
  const pull = state.pulls[number];
  if (pull !== undefined)
    return (kind === 'head' ? pull.commits.at(-1) : pull.testMerge) ?? undefined;
  return findBranchHead(state, ref.replace(/^(refs\/)?heads\//, ''));
}

/** Finds the commit of a call's `:ref`. @throws Problem 422 */
export function readRef(call: Call): string {
  const ref = call.params.ref ?? '';
  const sha = findCommit(call.world.state, ref);
  if (sha === undefined) throw new Problem(422, `No commit found for SHA: ${ref}`);
  return sha;
}
