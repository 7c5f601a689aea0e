import { checkBody, checkConversation } from './conversation.ts';
import { cutPage } from './page.ts';
import { makeNotFound } from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import { findIssue, readText } from './route.ts';
import { buildComment } from './shape.ts';
import type { CommentRecord, State } from './state.ts';
import { readClock, takeId } from './state.ts';

/** Adds a comment to the state and returns it. */
export function addComment(
  state: State,
  comment: { issue: number; author: string; body: string },
): CommentRecord {
  const now = readClock();
  const record: CommentRecord = { id: takeId(state), ...comment, createdAt: now, updatedAt: now };
  state.comments[record.id] = record;
  const issue = state.issues[comment.issue];
  if (issue !== undefined) issue.updatedAt = now;
  return record;
}

/** Finds the comment of a call. @throws Problem 404 */
export function findComment(call: Call): CommentRecord {
  const comment = call.world.state.comments[call.params.id ?? ''];
  if (comment === undefined) throw makeNotFound();
  return comment;
}

function listComments(call: Call): Answer {
  const issue = findIssue(call);
  checkConversation(call, issue.number, 'read');
  const since = call.url.searchParams.get('since');
  const comments = Object.values(call.world.state.comments)
    .filter((comment) => comment.issue === issue.number)
    .filter((comment) => since === null || Date.parse(comment.updatedAt) >= Date.parse(since))
    .sort((a, b) => a.id - b.id);
  const page = cutPage(comments, call.url);
  return { body: page.items.map((comment) => buildComment(call.world, comment)), link: page.link };
}

function createComment(call: Call): Answer {
  const issue = findIssue(call);
  checkConversation(call, issue.number, 'write');
  const body = readText(call.body, 'body');
  checkBody(body, 'IssueComment');
  const comment = addComment(call.world.state, { issue: issue.number, author: call.login, body });
  return { status: 201, body: buildComment(call.world, comment) };
}

function getComment(call: Call): Answer {
  const comment = findComment(call);
  checkConversation(call, comment.issue, 'read');
  return { body: buildComment(call.world, comment) };
}

function updateComment(call: Call): Answer {
  const comment = findComment(call);
  checkConversation(call, comment.issue, 'write');
  const body = readText(call.body, 'body');
  checkBody(body, 'IssueComment');
  comment.body = body;
  comment.updatedAt = readClock();
  return { body: buildComment(call.world, comment) };
}

function deleteComment(call: Call): Answer {
  const comment = findComment(call);
  checkConversation(call, comment.issue, 'write');
  const { comments, reactions } = call.world.state;
  delete comments[comment.id];
  for (const reaction of Object.values(reactions)) {
    if (reaction.comment === comment.id) delete reactions[reaction.id];
  }
  return { status: 204 };
}

const base = '/repos/:owner/:repo/issues';
const docs = 'issues/comments';

/** The comments of issues and pull requests. */
export const commentRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: `${base}/comments/:id`,
    documentation: `${docs}#get-an-issue-comment`,
    run: getComment,
  },
  {
    method: 'PATCH',
    pattern: `${base}/comments/:id`,
    documentation: `${docs}#update-an-issue-comment`,
    changes: true,
    run: updateComment,
  },
  {
    method: 'DELETE',
    pattern: `${base}/comments/:id`,
    documentation: `${docs}#delete-an-issue-comment`,
    changes: true,
    run: deleteComment,
  },
  {
    method: 'GET',
    pattern: `${base}/:number/comments`,
    documentation: `${docs}#list-issue-comments`,
    run: listComments,
  },
  {
    method: 'POST',
    pattern: `${base}/:number/comments`,
    documentation: `${docs}#create-an-issue-comment`,
    changes: true,
    run: createComment,
  },
];
