import { Problem } from './problem.ts';
import type { Call } from './route.ts';
import type { State } from './state.ts';
import { defaultBranch, readHead, readMainHead } from './state.ts';

/** Returns the newest commit of a branch of the repository, or of a pull request's; forks have their own. */
export function findBranchHead(state: State, branch: string): string | undefined {
  if (branch === defaultBranch) return readMainHead(state);
  if (state.branches[branch] !== undefined) return readHead(state, branch);
  return Object.values(state.pulls)
    .findLast((pull) => pull.branch === branch && pull.headOwner === state.owner)
    ?.commits.at(-1);
}

/** Finds the commit that a call's `:ref` means: a commit id or a branch. @throws Problem 422 */
export function readRef(call: Call): string {
  const ref = call.params.ref ?? '';
  const { state } = call.world;
  if (state.commits[ref] !== undefined) return ref;
  const sha = findBranchHead(state, ref.replace(/^(refs\/)?heads\//, ''));
  if (sha === undefined) throw new Problem(422, `No commit found for SHA: ${ref}`);
  return sha;
}
