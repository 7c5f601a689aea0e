import type { Schemas, World } from './shape.ts';
import {
  giveRepository,
  giveRepositoryPage,
  giveRepositoryUrl,
  giveUser,
  makeNodeId,
} from './shape.ts';
import type { CheckRunRecord, StatusRecord } from './state.ts';
import { giveStableId } from './state.ts';

/** Makes one commit status. */
export function giveStatus(world: World, status: StatusRecord): Schemas['status'] {
  const creator = giveUser(world, status.creator);
  return {
    url: `${giveRepositoryUrl(world)}/statuses/${status.sha}`,
    avatar_url: creator.avatar_url,
    id: status.id,
    node_id: makeNodeId('SC', status.id),
    state: status.state,
    description: status.description,
    target_url: status.targetUrl,
    context: status.context,
    created_at: status.createdAt,
    updated_at: status.createdAt,
    creator,
  };
}

/** Makes the combined view: the newest status of every context and what they amount to. */
export function giveCombinedStatus(world: World, sha: string): Schemas['combined-commit-status'] {
  const newest = new Map<string, StatusRecord>();
  for (const status of world.state.statuses)
    if (status.sha === sha) newest.set(status.context, status);
  const statuses = [...newest.values()];
  const url = `${giveRepositoryUrl(world)}/commits/${sha}`;
  return {
    state: judgeStatuses(statuses),
    statuses: statuses.map((status) => ({
      ...giveStatus(world, status),
      avatar_url: giveUser(world, status.creator).avatar_url,
      target_url: status.targetUrl,
    })),
    sha,
    total_count: statuses.length,
    repository: giveRepository(world),
    commit_url: url,
    url: `${url}/status`,
  };
}

function judgeStatuses(statuses: StatusRecord[]): 'failure' | 'pending' | 'success' {
  if (statuses.some(({ state }) => state === 'error' || state === 'failure')) return 'failure';
  if (statuses.length === 0 || statuses.some(({ state }) => state === 'pending')) return 'pending';
  return 'success';
}

/** Makes a check run. */
export function giveCheckRun(world: World, run: CheckRunRecord): Schemas['check-run'] {
  const url = `${giveRepositoryUrl(world)}/check-runs/${run.id}`;
  return {
    id: run.id,
    name: run.name,
    node_id: makeNodeId('CR', run.id),
    head_sha: run.sha,
    external_id: run.externalId,
    url,
    html_url: `${giveRepositoryPage(world)}/runs/${run.id}`,
    details_url: run.detailsUrl,
    status: run.status,
    conclusion: run.conclusion,
    started_at: run.startedAt,
    completed_at: run.completedAt,
    output: {
      title: run.title,
      summary: run.summary,
      text: run.text,
      annotations_count: run.annotations,
      annotations_url: `${url}/annotations`,
    },
    // An app has one check suite a commit.
    check_suite: { id: giveStableId(run.sha) },
    app: null,
    pull_requests: [],
  };
}
