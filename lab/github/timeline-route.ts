import { checkConversation } from './conversation.ts';
import { cutPage } from './page.ts';
import type { Answer, Call, Route } from './route.ts';
import { findIssue } from './route.ts';
import {
  buildComment,
  buildRepositoryPage,
  buildRepositoryUrl,
  buildUser,
  makeNodeId,
  type Schemas,
  type World,
} from './shape.ts';
import type { CommentRecord, CommitRecord, LabelingRecord } from './state.ts';

type Entry = Schemas['timeline-issue-events'];

/**
 * Lists the commits, comments and labels of an issue or pull request, oldest first; there is no order or filter to ask for.
 * `pull-requests: read` suffices on a pull request, unlike for "List issue events" (docs.github.com, "List timeline events
 * for an issue").
 */
function listTimeline(call: Call): Answer {
  const { world } = call;
  const { state } = world;
  const { number } = findIssue(call);
  checkConversation(call, number, 'read');
  const commits = (state.pulls[number]?.commits ?? []).flatMap((sha) => state.commits[sha] ?? []);
  const entries: { time: string; entry: Entry }[] = [
    ...commits.map((one) => ({ time: one.date, entry: buildCommitted(world, one) })),
    ...Object.values(state.comments)
      .filter(({ issue }) => issue === number)
      .sort((a, b) => a.id - b.id)
      .map((one) => ({ time: one.createdAt, entry: buildCommented(world, one) })),
    ...state.labelings
      .filter(({ issue }) => issue === number)
      .map((one) => ({ time: one.createdAt, entry: buildLabeling(world, one) })),
  ];
  entries.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  const page = cutPage(entries, call.url);
  return { body: page.items.map(({ entry }) => entry), link: page.link };
}

function buildLabeling(world: World, one: LabelingRecord): Schemas['labeled-issue-event'] {
  return {
    id: one.id,
    node_id: makeNodeId('LE', one.id),
    url: `${buildRepositoryUrl(world)}/issues/events/${one.id}`,
    actor: buildUser(world, one.actor),
    event: one.event,
    commit_id: null,
    commit_url: null,
    created_at: one.createdAt,
    label: { name: one.label, color: world.state.labels[one.label.toLowerCase()]?.color ?? '' },
    performed_via_github_app: null,
  };
}

function buildCommented(world: World, one: CommentRecord): Schemas['timeline-comment-event'] {
  return { ...buildComment(world, one), event: 'commented', actor: buildUser(world, one.author) };
}

/** A commit names the people as Git does: it has no actor. */
function buildCommitted(world: World, one: CommitRecord): Schemas['timeline-committed-event'] {
  const url = `${buildRepositoryUrl(world)}/git`;
  const page = `${buildRepositoryPage(world)}/commit`;
  const person = { name: one.author, email: `${one.author}@example.com`, date: one.date };
  return {
    event: 'committed',
    sha: one.sha,
    node_id: makeNodeId('C', Number.parseInt(one.sha.slice(0, 8), 16)),
    url: `${url}/commits/${one.sha}`,
    html_url: `${page}/${one.sha}`,
    author: person,
    committer: person,
    message: one.message,
    tree: { sha: one.tree, url: `${url}/trees/${one.tree}` },
    parents: one.parents.map((sha) => ({
      sha,
      url: `${url}/commits/${sha}`,
      html_url: `${page}/${sha}`,
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

/** What happened on issues and pull requests. */
export const timelineRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: '/repos/:owner/:repo/issues/:number/timeline',
    documentation: 'issues/timeline#list-timeline-events-for-an-issue',
    run: listTimeline,
  },
];
