import { closeMerged, finishMerge, makeMerge } from './branch.ts';
import { makeMergeGroupEvent, makePullRequestEvent, makePushEvent } from './event.ts';
import type { World } from './shape.ts';
import type { CommitRecord, IssueRecord, PullRecord } from './state.ts';
import { readMainHead } from './state.ts';

/** A merge queue with groups whose checks are running. */
export interface Queue {
  /** One group per pull request, in merge order. */
  readonly groups: ReturnType<typeof makeMergeGroupEvent>[];
  /** Merges all groups in one push, as when the checks have passed. */
  merge(): QueueEvents;
}

/** The events of a merge queue when it merges. */
export interface QueueEvents {
  readonly pullRequests: ReturnType<typeof makePullRequestEvent>[];
  readonly push: ReturnType<typeof makePushEvent>;
}

/** Pull requests in the queue, all unmerged. */
interface Queued {
  /** The default branch's head on which the queue is built. */
  readonly before: string;
  readonly groups: readonly {
    readonly pull: PullRecord;
    readonly issue: IssueRecord;
    readonly commits: CommitRecord[];
    readonly event: ReturnType<typeof makeMergeGroupEvent>;
  }[];
}

const mergeQueueBot = 'github-merge-queue[bot]';

/**
 * Makes one group per pull request, each with a merge commit on top of the previous one.
 * @throws Error for a conflict: GitHub then removes the pull request from the queue
 */
export function enqueue(
  world: World,
  pulls: readonly { pull: PullRecord; issue: IssueRecord }[],
): Queued {
  const before = readMainHead(world.state);
  let base = before;
  const groups = pulls.map(({ pull, issue }) => {
    const actor = issue.author;
    const commits = makeMerge(world, { pull, issue, method: 'merge', actor, base });
    const commit = commits.at(-1);
    if (commit === undefined) throw new Error(`Pull request ${pull.number} has no commit.`);
    const event = makeMergeGroupEvent(world, { pull, commit, base });
    base = commit.sha;
    return { pull, issue, commits, event };
  });
  return { before, groups };
}

/**
 * Moves the default branch to the last group's commit and closes the pull requests.
 * @throws Error if the branch has moved: GitHub then rebuilds the groups
 */
export function mergeQueued(world: World, { before, groups }: Queued): QueueEvents {
  const actor = mergeQueueBot;
  if (readMainHead(world.state) !== before) {
    throw new Error('The default branch moved: a merge queue makes its groups anew.');
  }
  for (const { pull, issue, commits } of groups) {
    finishMerge(world, { pull, commits });
    closeMerged({ pull, issue, actor, pushed: commits });
  }
  const commits = groups.flatMap((group) => group.commits);
  return {
    pullRequests: groups.map(({ pull }) =>
      makePullRequestEvent(world, { pull, actor, action: 'closed' }),
    ),
    push: makePushEvent(world, { before, commits, actor }),
  };
}
