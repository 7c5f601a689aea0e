import { findComment } from './comment-route.ts';
import { checkConversation } from './conversation.ts';
import { cutPage } from './page.ts';
import { makeForbidden, makeNotFound } from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import { readWord } from './route.ts';
import { buildReaction } from './shape.ts';
import { REACTIONS, type ReactionRecord, readClock, type State, takeId } from './state.ts';

/** Adds a login's reaction to a comment, or returns the existing one. */
export function addReaction(
  state: State,
  reaction: Pick<ReactionRecord, 'comment' | 'login' | 'content'>,
): { record: ReactionRecord; isNew: boolean } {
  const { comment, login, content } = reaction;
  const old = Object.values(state.reactions).find(
    (one) => one.comment === comment && one.login === login && one.content === content,
  );
  if (old !== undefined) return { record: old, isNew: false };
  const record = { id: takeId(state), ...reaction, createdAt: readClock() };
  state.reactions[record.id] = record;
  return { record, isNew: true };
}

function createReaction(call: Call): Answer {
  const comment = findComment(call);
  checkConversation(call, comment.issue, 'write');
  const content = readWord(call.body, 'content', REACTIONS);
  const { record, isNew } = addReaction(call.world.state, {
    comment: comment.id,
    login: call.login,
    content,
  });
  return { status: isNew ? 201 : 200, body: buildReaction(call.world, record) };
}

function listReactions(call: Call): Answer {
  const comment = findComment(call);
  checkConversation(call, comment.issue, 'read');
  const content = call.url.searchParams.get('content');
  const reactions = Object.values(call.world.state.reactions)
    .filter((reaction) => reaction.comment === comment.id)
    .filter((reaction) => content === null || reaction.content === content)
    .sort((a, b) => a.id - b.id);
  const page = cutPage(reactions, call.url);
  return { body: page.items.map((one) => buildReaction(call.world, one)), link: page.link };
}

function deleteReaction(call: Call): Answer {
  const comment = findComment(call);
  checkConversation(call, comment.issue, 'write');
  const { reactions } = call.world.state;
  const reaction = reactions[call.params.reaction ?? ''];
  if (reaction === undefined || reaction.comment !== comment.id) throw makeNotFound();
  if (reaction.login !== call.login) throw makeForbidden(call.login, 'issues=write');
  delete reactions[reaction.id];
  return { status: 204 };
}

const base = '/repos/:owner/:repo/issues/comments/:id/reactions';
const docs = 'reactions/reactions';

/** Reactions to the comments of issues and pull requests. */
export const reactionRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: base,
    documentation: `${docs}#list-reactions-for-an-issue-comment`,
    run: listReactions,
  },
  {
    method: 'POST',
    pattern: base,
    documentation: `${docs}#create-reaction-for-an-issue-comment`,
    changes: true,
    run: createReaction,
  },
  {
    method: 'DELETE',
    pattern: `${base}/:reaction`,
    documentation: `${docs}#delete-an-issue-comment-reaction`,
    changes: true,
    run: deleteReaction,
  },
];
