import type { Schemas, World } from './shape.ts';
import {
  giveRepository,
  giveRepositoryPage,
  giveRepositoryUrl,
  giveUser,
  makeNodeId,
} from './shape.ts';
import type { CheckRunRecord, CommitRecord, StatusRecord } from './state.ts';
import { giveAppId, giveStableId } from './state.ts';

/** Builds one commit status. */
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

/** Builds the combined view: the newest status of every context and the resulting state. */
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

/** Builds a check run. */
export function giveCheckRun(world: World, run: CheckRunRecord): Schemas['check-run'] {
  const url = `${giveRepositoryUrl(world)}/check-runs/${run.id}`;
  const page = `${giveRepositoryPage(world)}/runs/${run.id}`;
  return {
    id: run.id,
    name: run.name,
    node_id: makeNodeId('CR', run.id),
    head_sha: run.sha,
    external_id: run.externalId,
    url,
    html_url: page,
    details_url: run.detailsUrl ?? page,
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
    check_suite: { id: run.suite },
    app: giveApp(world, run.app),
    pull_requests: [],
  };
}

/** Builds the app of a check run. */
function giveApp(world: World, app: string): Schemas['integration'] {
  const id = giveAppId(app);
  return {
    id,
    slug: app,
    node_id: makeNodeId('A', id),
    owner: giveUser(world, app === 'github-actions' ? 'github' : `${app}-owner`),
    name: app,
    description: null,
    external_url: `${world.urls.server}/apps/${app}`,
    html_url: `${world.urls.server}/apps/${app}`,
    created_at: world.state.createdAt,
    updated_at: world.state.createdAt,
    permissions: { checks: 'write', metadata: 'read' },
    events: [],
  };
}

/** Builds a branch with its newest commit; branches are never protected. */
export function giveBranch(
  world: World,
  { branch, sha }: { branch: string; sha: string },
): Schemas['branch-with-protection'] {
  const url = `${giveRepositoryUrl(world)}/branches/${encodeURIComponent(branch)}`;
  const commit = world.state.commits[sha];
  if (commit === undefined) throw new Error(`There is no commit ${sha}.`);
  return {
    name: branch,
    commit: giveCommit(world, commit),
    _links: { html: `${giveRepositoryPage(world)}/tree/${branch}`, self: url },
    protected: false,
    protection: { enabled: false },
    protection_url: `${url}/protection`,
  };
}

/** Builds a commit as Git's own API shows it; commits are never signed. */
export function giveGitCommit(world: World, commit: CommitRecord): Schemas['git-commit'] {
  const { node_id, html_url, commit: inner } = giveCommit(world, commit);
  const { message, tree, url } = inner;
  const person = givePerson(commit);
  const api = `${giveRepositoryUrl(world)}/git/commits`;
  return {
    sha: commit.sha,
    node_id,
    url,
    html_url,
    author: person,
    committer: person,
    message,
    tree,
    parents: commit.parents.map((sha) => ({
      sha,
      url: `${api}/${sha}`,
      html_url: `${giveRepositoryPage(world)}/commit/${sha}`,
    })),
    verification: {
      verified: false,
      reason: 'unsigned',
      signature: null,
      payload: null,
      verified_at: null,
    },
  };
}

function giveCommit(world: World, commit: CommitRecord): Schemas['commit'] {
  const url = (sha: string) => `${giveRepositoryUrl(world)}/commits/${sha}`;
  const page = (sha: string) => `${giveRepositoryPage(world)}/commit/${sha}`;
  const author = giveUser(world, commit.author);
  const person = givePerson(commit);
  return {
    url: url(commit.sha),
    sha: commit.sha,
    node_id: makeNodeId('C', giveStableId(commit.sha)),
    html_url: page(commit.sha),
    comments_url: `${url(commit.sha)}/comments`,
    commit: {
      url: `${giveRepositoryUrl(world)}/git/commits/${commit.sha}`,
      author: person,
      committer: person,
      message: commit.message,
      comment_count: 0,
      tree: { sha: commit.tree, url: `${giveRepositoryUrl(world)}/git/trees/${commit.tree}` },
    },
    author,
    committer: author,
    parents: commit.parents.map((sha) => ({ sha, url: url(sha), html_url: page(sha) })),
  };
}

function givePerson({ author, date }: CommitRecord) {
  return { name: author, email: `${author}@users.noreply.github.com`, date };
}
