import type { ChangedFile } from './git.ts';
import { findEntry, readCommitTree } from './git.ts';
import type { Schemas, World } from './shape.ts';
import {
  buildLabels,
  buildRepository,
  buildRepositoryPage,
  buildRepositoryUrl,
  buildUser,
  findAssociation,
  makeNodeId,
} from './shape.ts';
import type { PullRecord } from './state.ts';
import { readHead } from './state.ts';

/** Builds a pull request as lists show it. */
export function buildPull(world: World, pull: PullRecord) {
  const { state } = world;
  const issue = state.issues[pull.number];
  if (issue === undefined) throw new Error(`Pull request ${pull.number} has no issue.`);
  const repository = buildRepositoryUrl(world);
  const url = `${repository}/pulls/${pull.number}`;
  const issueUrl = `${repository}/issues/${pull.number}`;
  const page = `${buildRepositoryPage(world)}/pull/${pull.number}`;
  const headSha = pull.commits.at(-1) ?? pull.baseSha;
  const statuses = `${repository}/statuses/${headSha}`;
  return {
    url,
    id: pull.id,
    node_id: makeNodeId('PR', pull.id),
    html_url: page,
    diff_url: `${page}.diff`,
    patch_url: `${page}.patch`,
    issue_url: issueUrl,
    number: pull.number,
    state: issue.state,
    locked: false,
    title: issue.title,
    user: buildUser(world, issue.author),
    body: issue.body,
    created_at: issue.createdAt,
    updated_at: issue.updatedAt,
    closed_at: issue.closedAt,
    merged_at: pull.mergedAt,
    merge_commit_sha: pull.mergeCommitSha,
    assignee: null,
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: buildLabels(world, issue),
    milestone: null,
    draft: false,
    commits_url: `${url}/commits`,
    review_comments_url: `${url}/comments`,
    review_comment_url: `${repository}/pulls/comments{/number}`,
    comments_url: `${issueUrl}/comments`,
    statuses_url: statuses,
    head: {
      label: `${pull.headOwner}:${pull.branch}`,
      ref: pull.branch,
      sha: headSha,
      user: buildUser(world, pull.headOwner),
      repo: buildRepository(world, pull.headOwner),
    },
    base: {
      label: `${state.owner}:${pull.base}`,
      ref: pull.base,
      sha: pull.baseSha,
      user: buildUser(world, state.owner),
      repo: buildRepository(world),
    },
    _links: {
      self: { href: url },
      html: { href: page },
      issue: { href: issueUrl },
      comments: { href: `${issueUrl}/comments` },
      review_comments: { href: `${url}/comments` },
      review_comment: { href: `${repository}/pulls/comments{/number}` },
      commits: { href: `${url}/commits` },
      statuses: { href: statuses },
    },
    author_association: findAssociation(world, issue.author),
    auto_merge: null,
    active_lock_reason: null,
  } satisfies Schemas['pull-request-simple'];
}

/** Builds a pull request as "get a pull request" and webhooks show it. */
export function buildFullPull(world: World, pull: PullRecord) {
  const mergeable = readMergeable(world, pull);
  const state = mergeable === null ? 'unknown' : mergeable ? 'clean' : 'dirty';
  return {
    ...buildPull(world, pull),
    merged: pull.mergedAt !== null,
    mergeable,
    rebaseable: mergeable,
    mergeable_state: state,
    merged_by: pull.mergedBy === null ? null : buildUser(world, pull.mergedBy),
    comments: Object.values(world.state.comments).filter((c) => c.issue === pull.number).length,
    review_comments: 0,
    maintainer_can_modify: false,
    commits: pull.commits.length,
    additions: pull.files.length,
    deletions: 0,
    changed_files: pull.files.length,
  } satisfies Schemas['pull-request'];
}

/** Returns whether an open pull request can be merged; null while GitHub does not know yet. */
function readMergeable({ state }: World, pull: PullRecord): boolean | null {
  const open = state.issues[pull.number]?.state === 'open';
  const current = pull.tested?.base === readHead(state, pull.base);
  return open && current && pull.unknownAnswers === null ? !pull.conflict : null;
}

/** Builds the entry of one changed file. */
export function buildFile(
  world: World,
  pull: PullRecord,
  file: ChangedFile,
): Schemas['diff-entry'] {
  const page = buildRepositoryPage(world, pull.headOwner);
  const head = pull.commits.at(-1) ?? pull.baseSha;
  const [additions, deletions] =
    file.status === 'removed' ? [0, 1] : [1, file.status === 'modified' ? 1 : 0];
  const { state } = world;
  const entry = findEntry(state, readCommitTree(state, head), file.filename);
  return {
    sha: entry?.sha ?? head,
    filename: file.filename,
    status: file.status,
    additions,
    deletions,
    changes: additions + deletions,
    blob_url: `${page}/blob/${head}/${file.filename}`,
    raw_url: `${page}/raw/${head}/${file.filename}`,
    contents_url: `${buildRepositoryUrl(world, pull.headOwner)}/contents/${file.filename}?ref=${head}`,
    ...(file.patch === undefined ? {} : { patch: file.patch }),
  };
}
