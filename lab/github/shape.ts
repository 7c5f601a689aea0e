import type { components } from '@octokit/openapi-types';
import type { CommentRecord, IssueRecord, LabelRecord, ReactionRecord, State } from './state.ts';
import { defaultBranch, deriveId } from './state.ts';

/** The objects of GitHub's published OpenAPI description. */
export type Schemas = components['schemas'];

/** The addresses of the server, without a trailing slash. */
export interface Urls {
  readonly server: string;
  readonly api: string;
  readonly graphql: string;
}

/** The input of the shapes. */
export interface World {
  readonly state: State;
  readonly urls: Urls;
}

/** Builds the opaque global id that GraphQL uses, in GitHub's newer format. */
export function makeNodeId(prefix: string, id: number): string {
  return `${prefix}_kwDO${Buffer.from(String(id)).toString('base64url')}`;
}

/** Returns the path of the repository's API. */
export function buildRepositoryUrl(world: World, owner = world.state.owner): string {
  return `${world.urls.api}/repos/${owner}/${world.state.name}`;
}

/** Returns the address of the repository's page. */
export function buildRepositoryPage(world: World, owner = world.state.owner): string {
  return `${world.urls.server}/${owner}/${world.state.name}`;
}

/** Builds the account of a login; `[bot]` at the end makes it a bot. */
export function buildUser(world: World, login: string) {
  const id = deriveId(login);
  const url = `${world.urls.api}/users/${encodeURIComponent(login)}`;
  const bot = login.endsWith('[bot]');
  const page = bot ? `apps/${login.slice(0, -'[bot]'.length)}` : login;
  return {
    login,
    id,
    node_id: makeNodeId(bot ? 'BOT' : 'U', id),
    avatar_url: `${world.urls.server}/avatars/u/${id}?v=4`,
    gravatar_id: '',
    url,
    html_url: `${world.urls.server}/${page}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: bot ? ('Bot' as const) : ('User' as const),
    site_admin: false,
  } satisfies Schemas['simple-user'];
}

/** Builds the repository, or its fork for another owner, as REST and webhooks both show it. */
export function buildRepository(world: World, owner = world.state.owner) {
  const { state } = world;
  const fork = owner !== state.owner;
  const id = deriveId(`${owner}/${state.name}`);
  const url = buildRepositoryUrl(world, owner);
  const page = buildRepositoryPage(world, owner);
  const host = new URL(world.urls.server).host;
  const open = Object.values(state.issues).filter((issue) => issue.state === 'open').length;
  return {
    id,
    node_id: makeNodeId('R', id),
    name: state.name,
    full_name: `${owner}/${state.name}`,
    private: state.private && !fork,
    owner: buildUser(world, owner),
    html_url: page,
    description: null,
    fork,
    url,
    forks_url: `${url}/forks`,
    keys_url: `${url}/keys{/key_id}`,
    collaborators_url: `${url}/collaborators{/collaborator}`,
    teams_url: `${url}/teams`,
    hooks_url: `${url}/hooks`,
    issue_events_url: `${url}/issues/events{/number}`,
    events_url: `${url}/events`,
    assignees_url: `${url}/assignees{/user}`,
    branches_url: `${url}/branches{/branch}`,
    tags_url: `${url}/tags`,
    blobs_url: `${url}/git/blobs{/sha}`,
    git_tags_url: `${url}/git/tags{/sha}`,
    git_refs_url: `${url}/git/refs{/sha}`,
    trees_url: `${url}/git/trees{/sha}`,
    statuses_url: `${url}/statuses/{sha}`,
    languages_url: `${url}/languages`,
    stargazers_url: `${url}/stargazers`,
    contributors_url: `${url}/contributors`,
    subscribers_url: `${url}/subscribers`,
    subscription_url: `${url}/subscription`,
    commits_url: `${url}/commits{/sha}`,
    git_commits_url: `${url}/git/commits{/sha}`,
    comments_url: `${url}/comments{/number}`,
    issue_comment_url: `${url}/issues/comments{/number}`,
    contents_url: `${url}/contents/{+path}`,
    compare_url: `${url}/compare/{base}...{head}`,
    merges_url: `${url}/merges`,
    archive_url: `${url}/{archive_format}{/ref}`,
    downloads_url: `${url}/downloads`,
    issues_url: `${url}/issues{/number}`,
    pulls_url: `${url}/pulls{/number}`,
    milestones_url: `${url}/milestones{/number}`,
    notifications_url: `${url}/notifications{?since,all,participating}`,
    labels_url: `${url}/labels{/name}`,
    releases_url: `${url}/releases{/id}`,
    deployments_url: `${url}/deployments`,
    created_at: state.createdAt,
    updated_at: state.createdAt,
    pushed_at: state.createdAt,
    git_url: `git://${host}/${owner}/${state.name}.git`,
    ssh_url: `git@${host}:${owner}/${state.name}.git`,
    clone_url: `${page}.git`,
    svn_url: page,
    homepage: null,
    size: 1,
    stargazers_count: 0,
    watchers_count: 0,
    language: 'HCL',
    has_issues: !fork && state.hasIssues,
    has_projects: true,
    has_downloads: true,
    has_wiki: false,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    mirror_url: null,
    archived: false,
    disabled: false,
    open_issues_count: fork ? 0 : open,
    license: null,
    forks: 0,
    open_issues: fork ? 0 : open,
    watchers: 0,
    default_branch: defaultBranch,
    is_template: false,
    web_commit_signoff_required: false,
    topics: [],
    custom_properties: {},
    visibility: state.private && !fork ? ('private' as const) : ('public' as const),
  };
}

/** Builds the answer to "get a repository". */
export function buildFullRepository(world: World): Schemas['full-repository'] {
  return {
    ...buildRepository(world),
    subscribers_count: 0,
    network_count: 0,
    allow_squash_merge: true,
    allow_merge_commit: true,
    allow_rebase_merge: true,
  };
}

/** Builds a label. */
export function buildLabel(world: World, label: LabelRecord) {
  return {
    id: label.id,
    node_id: makeNodeId('LA', label.id),
    url: `${buildRepositoryUrl(world)}/labels/${encodeURIComponent(label.name)}`,
    name: label.name,
    description: '',
    color: label.color,
    default: false,
  } satisfies Schemas['label'];
}

/** Builds the labels of an issue in the order in which they were added. */
export function buildLabels(world: World, issue: IssueRecord) {
  return issue.labels.flatMap((name) => {
    const label = world.state.labels[name.toLowerCase()];
    return label === undefined ? [] : [buildLabel(world, label)];
  });
}

/** Returns an account's association with the repository. */
export function findAssociation(world: World, login: string) {
  if (login === world.state.owner) return 'OWNER' as const;
  return login.endsWith('[bot]') ? ('NONE' as const) : ('CONTRIBUTOR' as const);
}

/** Builds a comment of a conversation. */
export function buildComment(world: World, comment: CommentRecord) {
  const kind = world.state.pulls[comment.issue] === undefined ? 'issues' : 'pull';
  const url = `${buildRepositoryUrl(world)}/issues`;
  return {
    url: `${url}/comments/${comment.id}`,
    html_url: `${buildRepositoryPage(world)}/${kind}/${comment.issue}#issuecomment-${comment.id}`,
    issue_url: `${url}/${comment.issue}`,
    id: comment.id,
    node_id: makeNodeId('IC', comment.id),
    user: buildUser(world, comment.author),
    created_at: comment.createdAt,
    updated_at: comment.updatedAt,
    author_association: findAssociation(world, comment.author),
    body: comment.body,
    performed_via_github_app: null,
  } satisfies Schemas['issue-comment'];
}

/** Builds a reaction. */
export function buildReaction(world: World, reaction: ReactionRecord): Schemas['reaction'] {
  return {
    id: reaction.id,
    node_id: makeNodeId('REA', reaction.id),
    user: buildUser(world, reaction.login),
    content: reaction.content,
    created_at: reaction.createdAt,
  };
}

/** Builds an issue; a pull request is one too, with `pull_request` set. */
export function buildIssue(world: World, issue: IssueRecord): Schemas['issue'] {
  const { state } = world;
  const url = `${buildRepositoryUrl(world)}/issues/${issue.number}`;
  const pull = state.pulls[issue.number];
  const page = `${buildRepositoryPage(world)}/${pull === undefined ? 'issues' : 'pull'}/${issue.number}`;
  const base: Schemas['issue'] = {
    url,
    repository_url: buildRepositoryUrl(world),
    labels_url: `${url}/labels{/name}`,
    comments_url: `${url}/comments`,
    events_url: `${url}/events`,
    html_url: page,
    id: issue.id,
    node_id: makeNodeId('I', issue.id),
    number: issue.number,
    title: issue.title,
    user: buildUser(world, issue.author),
    labels: buildLabels(world, issue),
    state: issue.state,
    state_reason: issue.stateReason,
    locked: false,
    assignee: null,
    assignees: [],
    milestone: null,
    comments: Object.values(state.comments).filter((c) => c.issue === issue.number).length,
    created_at: issue.createdAt,
    updated_at: issue.updatedAt,
    closed_at: issue.closedAt,
    author_association: findAssociation(world, issue.author),
    active_lock_reason: null,
    body: issue.body,
    performed_via_github_app: null,
  };
  if (pull === undefined) return base;
  return {
    ...base,
    draft: false,
    pull_request: {
      url: `${buildRepositoryUrl(world)}/pulls/${issue.number}`,
      html_url: page,
      diff_url: `${page}.diff`,
      patch_url: `${page}.patch`,
      merged_at: pull.mergedAt,
    },
  };
}
