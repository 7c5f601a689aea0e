import { buildBranch, buildCombinedStatus, buildStatus } from './commit-shape.ts';
import { cutPage } from './page.ts';
import { checkPermission, makeInvalid, Problem } from './problem.ts';
import { findBranchHead, readRef } from './ref.ts';
import type { Answer, Call, Route } from './route.ts';
import { readOptionalText, readWord } from './route.ts';
import { readClock, takeId } from './state.ts';

function check(call: Call, permission: 'statuses' | 'contents', access: 'read' | 'write'): void {
  checkPermission({ state: call.world.state, token: call.token }, { permission, access });
}

function createStatus(call: Call): Answer {
  check(call, 'statuses', 'write');
  const { state } = call.world;
  const sha = readRef(call);
  const word = readWord(call.body, 'state', ['error', 'failure', 'pending', 'success']);
  const context = readOptionalText(call.body, 'context') ?? 'default';
  const description = readOptionalText(call.body, 'description') ?? null;
  const fail = (field: string, message: string): Problem =>
    makeInvalid([{ resource: 'Status', code: 'custom', field, message }]);
  if ([...(description ?? '')].length > 140) {
    throw fail('description', 'description is too long (maximum is 140 characters)');
  }
  if (state.statuses.filter((old) => old.sha === sha && old.context === context).length >= 1000) {
    throw fail('sha', 'This SHA and context has reached the maximum number of statuses.');
  }
  const status = {
    id: takeId(state),
    sha,
    state: word,
    context,
    description,
    targetUrl: readOptionalText(call.body, 'target_url') ?? null,
    creator: call.login,
    createdAt: readClock(),
  };
  state.statuses.push(status);
  return { status: 201, body: buildStatus(call.world, status) };
}

function listStatuses(call: Call): Answer {
  check(call, 'statuses', 'read');
  const sha = readRef(call);
  const page = cutPage(call.world.state.statuses.filter((s) => s.sha === sha).reverse(), call.url);
  return { body: page.items.map((status) => buildStatus(call.world, status)), link: page.link };
}

function getCombinedStatus(call: Call): Answer {
  check(call, 'statuses', 'read');
  return { body: buildCombinedStatus(call.world, readRef(call)) };
}

function getBranch(call: Call): Answer {
  check(call, 'contents', 'read');
  const branch = call.params.branch ?? '';
  const sha = findBranchHead(call.world.state, branch);
  if (sha === undefined) throw new Problem(404, 'Branch not found');
  return { body: buildBranch(call.world, { branch, sha }) };
}

const base = '/repos/:owner/:repo';

/** Commit statuses and branches. */
export const commitRoutes: readonly Route[] = [
  {
    method: 'POST',
    pattern: `${base}/statuses/:ref`,
    documentation: 'commits/statuses#create-a-commit-status',
    changes: true,
    run: createStatus,
  },
  {
    method: 'GET',
    pattern: `${base}/commits/:ref/statuses`,
    documentation: 'commits/statuses#list-commit-statuses-for-a-reference',
    run: listStatuses,
  },
  {
    method: 'GET',
    pattern: `${base}/commits/:ref/status`,
    documentation: 'commits/statuses#get-the-combined-status-for-a-specific-reference',
    run: getCombinedStatus,
  },
  {
    method: 'GET',
    pattern: `${base}/branches/:branch`,
    documentation: 'branches/branches#get-a-branch',
    run: getBranch,
  },
];
