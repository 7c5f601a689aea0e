import type { Schemas, World } from './shape.ts';
import {
  buildRepository,
  buildRepositoryPage,
  buildRepositoryUrl,
  buildUser,
  makeNodeId,
} from './shape.ts';
import type { CheckRunRecord, CommitRecord, StatusRecord } from './state.ts';
import { deriveId, findAppId } from './state.ts';

/** Builds one commit status. */
export function buildStatus(world: World, status: StatusRecord): Schemas['status'] {
  const creator = buildUser(world, status.creator);
  return {
    url: `${buildRepositoryUrl(world)}/statuses/${status.sha}`,
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
export function buildCombinedStatus(world: World, sha: string): Schemas['combined-commit-status'] {
  const newest = new Map<string, StatusRecord>();
  for (const status of world.state.statuses)
    if (status.sha === sha) newest.set(status.context, status);
  const statuses = [...newest.values()];
  const url = `${buildRepositoryUrl(world)}/commits/${sha}`;
  return {
    state: combineStatuses(statuses),
    statuses: statuses.map((status) => ({
      ...buildStatus(world, status),
      avatar_url: buildUser(world, status.creator).avatar_url,
      target_url: status.targetUrl,
    })),
    sha,
    total_count: statuses.length,
    repository: buildRepository(world),
    commit_url: url,
    url: `${url}/status`,
  };
}

function combineStatuses(statuses: StatusRecord[]): 'failure' | 'pending' | 'success' {
  if (statuses.some(({ state }) => state === 'error' || state === 'failure')) return 'failure';
  if (statuses.length === 0 || statuses.some(({ state }) => state === 'pending')) return 'pending';
  return 'success';
}

/** Builds a check run. */
export function buildCheckRun(world: World, run: CheckRunRecord): Schemas['check-run'] {
  const url = `${buildRepositoryUrl(world)}/check-runs/${run.id}`;
  const page = `${buildRepositoryPage(world)}/runs/${run.id}`;
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
    app: buildApp(world, run.app),
    pull_requests: [],
  };
}

/** Builds the app of a check run. */
function buildApp(world: World, app: string): Schemas['integration'] {
  const id = findAppId(app);
  return {
    id,
    slug: app,
    node_id: makeNodeId('A', id),
    owner: buildUser(world, app === 'github-actions' ? 'github' : `${app}-owner`),
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
export function buildBranch(
  world: World,
  { branch, sha }: { branch: string; sha: string },
): Schemas['branch-with-protection'] {
  const url = `${buildRepositoryUrl(world)}/branches/${encodeURIComponent(branch)}`;
  const commit = world.state.commits[sha];
  if (commit === undefined) throw new Error(`There is no commit ${sha}.`);
  return {
    name: branch,
    commit: buildCommit(world, commit),
    _links: { html: `${buildRepositoryPage(world)}/tree/${branch}`, self: url },
    protected: false,
    protection: { enabled: false },
    protection_url: `${url}/protection`,
  };
}

/** Builds a commit as Git's own API shows it; commits are never signed. */
export function buildGitCommit(world: World, commit: CommitRecord): Schemas['git-commit'] {
  const { node_id, html_url, commit: inner } = buildCommit(world, commit);
  const { message, tree, url } = inner;
  const person = buildPerson(commit);
  const api = `${buildRepositoryUrl(world)}/git/commits`;
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
      html_url: `${buildRepositoryPage(world)}/commit/${sha}`,
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

function buildCommit(world: World, commit: CommitRecord): Schemas['commit'] {
  const url = (sha: string) => `${buildRepositoryUrl(world)}/commits/${sha}`;
  const page = (sha: string) => `${buildRepositoryPage(world)}/commit/${sha}`;
  const author = buildUser(world, commit.author);
  const person = buildPerson(commit);
  return {
    url: url(commit.sha),
    sha: commit.sha,
    node_id: makeNodeId('C', deriveId(commit.sha)),
    html_url: page(commit.sha),
    comments_url: `${url(commit.sha)}/comments`,
    commit: {
      url: `${buildRepositoryUrl(world)}/git/commits/${commit.sha}`,
      author: person,
      committer: person,
      message: commit.message,
      comment_count: 0,
      tree: { sha: commit.tree, url: `${buildRepositoryUrl(world)}/git/trees/${commit.tree}` },
    },
    author,
    committer: author,
    parents: commit.parents.map((sha) => ({ sha, url: url(sha), html_url: page(sha) })),
  };
}

function buildPerson({ author, date }: CommitRecord) {
  return { name: author, email: `${author}@users.noreply.github.com`, date };
}
