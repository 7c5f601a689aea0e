import type { EventPullRequest, TriggerEvent } from './event.ts';
import type { Intent } from './intent.ts';

const DEPENDABOT = 'dependabot[bot]';

/** Decides what a run on a `pull_request` or `pull_request_target` event is for. */
export function decidePullRequest(event: TriggerEvent): Intent {
  const { payload } = event;
  const pull = payload.pull_request;
  if (!pull) return { kind: 'skip', why: `the ${event.name} event carries no pull request` };
  const label = `pull request #${pull.number}`;
  if (payload.action !== 'closed' && pull.state === 'closed') {
    const state = pull.merged ? 'merged' : 'closed';
    return { kind: 'skip', why: `${label} is ${state}: it was planned while it was open` };
  }
  switch (payload.action) {
    case 'edited':
      if (payload.changes?.base === undefined) break;
      return decideReview(pull, {
        event,
        why: `${label} is to be merged into ${pull.base.ref} now`,
      });
    case 'opened':
    case 'synchronize':
    case 'reopened':
    // A label can permit what the plan was refused for.
    case 'labeled':
    case 'unlabeled':
      return decideReview(pull, {
        event,
        why: `${label} was ${payload.action === 'synchronize' ? 'pushed to' : payload.action}`,
      });
    case 'closed': {
      if (!pull.merged) {
        return {
          kind: 'close',
          pullRequest: pull.number,
          fromFork: isFork(pull),
          why: `${label} was closed without a merge`,
        };
      }
      const branch = payload.repository?.default_branch;
      if (pull.base.ref !== branch) {
        return {
          kind: 'skip',
          why: `${label} was merged into ${pull.base.ref}; only a merge into the default branch (${branch ?? 'unknown'}) is deployed`,
        };
      }
      return {
        kind: 'deploy',
        pullRequest: pull.number,
        withoutSecrets: explainNoSecrets(event),
        branch,
        pushedAt: pull.merged_at ?? null,
        // The target branch's commit at the last push to the pull request.
        before: pull.base.sha ?? null,
        sha: pull.merge_commit_sha ?? pull.head.sha,
        why: `${label} was merged`,
      };
    }
  }
  return {
    kind: 'skip',
    why: `${label} was ${payload.action ?? 'changed'}, which changes no plan`,
  };
}

/** Decides on a review; a fork's pull request needs a label first. */
function decideReview(
  pull: EventPullRequest,
  { event, why }: { event: TriggerEvent; why: string },
): Intent {
  const review = {
    kind: 'review',
    event: 'pull_request',
    base: pull.base.ref,
    pullRequest: pull.number,
    queued: null,
    withoutSecrets: explainNoSecrets(event),
    consent: null,
    sha: pull.head.sha,
    why,
  } as const;
  if (event.name !== 'pull_request_target' || !isFork(pull)) return review;

  const { action, label, sender } = event.payload;
  if (action === 'unlabeled') {
    return { kind: 'skip', why: `${why}; a fork's pull request is planned when a label is set` };
  }
  if (action !== 'labeled') {
    const { sha, base } = review;
    return { kind: 'await', pullRequest: pull.number, sha, base, why: `${why}, from a fork` };
  }
  if (!label?.name || !sender?.login) {
    return { kind: 'skip', why: `${why}, and the event names neither the label nor its author` };
  }
  return { ...review, consent: { label: label.name, by: sender.login } };
}

/** Whether the branch is in another repository, or in a deleted one. */
function isFork({ head, base }: EventPullRequest): boolean {
  return !head.repo || head.repo.full_name !== base.repo?.full_name;
}

/**
 * Returns why GitHub withholds secrets, as a noun phrase; null if the run has them. What counts is the branch's
 * repository and the actor, not the pull request's author: a person's push to a Dependabot branch gets secrets, and a
 * rerun by another person changes nothing. On `pull_request_target` a fork's pull request has secrets; only events that
 * Dependabot triggers on its own pull requests have none (docs.github.com, "Troubleshooting Dependabot on GitHub
 * Actions" and "Events that trigger workflows").
 */
export function explainNoSecrets({ name, payload, actor }: TriggerEvent): string | null {
  const pull = payload.pull_request;
  const isTarget = name === 'pull_request_target';
  if (!isTarget && pull && isFork(pull)) return 'a pull request from a fork';
  if (actor !== DEPENDABOT || (isTarget && pull?.user?.login !== DEPENDABOT)) return null;
  return 'a run that Dependabot triggered';
}
