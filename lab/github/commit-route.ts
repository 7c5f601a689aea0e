import { giveCheckRun, giveCombinedStatus, giveStatus } from './commit-shape.ts';
import { cutPage } from './page.ts';
import {
  checkPermission,
  makeForbidden,
  makeInvalid,
  makeMalformed,
  makeNotFound,
  Problem,
} from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import { readOptionalText, readText, readWord } from './route.ts';
import type { CheckRunRecord, State } from './state.ts';
import { defaultBranch, readClock, readMainHead, takeId } from './state.ts';

function check(call: Call, permission: 'statuses' | 'checks', access: 'read' | 'write'): void {
  checkPermission({ state: call.world.state, token: call.token }, { permission, access });
}

// A ref is a commit id, the default branch or the branch of a pull request.
function resolveRef(state: State, ref: string): string | undefined {
  if (state.commits[ref] !== undefined) return ref;
  const branch = ref.replace(/^(refs\/)?heads\//, '');
  if (branch === defaultBranch) return readMainHead(state);
  return Object.values(state.pulls)
    .findLast((pull) => pull.branch === branch && pull.headOwner === state.owner)
    ?.commits.at(-1);
}

function readRef(call: Call): string {
  const ref = call.params.ref ?? '';
  const sha = resolveRef(call.world.state, ref);
  if (sha === undefined) throw new Problem(422, `No commit found for SHA: ${ref}`);
  return sha;
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
  return { status: 201, body: giveStatus(call.world, status) };
}

function listStatuses(call: Call): Answer {
  check(call, 'statuses', 'read');
  const sha = readRef(call);
  const page = cutPage(call.world.state.statuses.filter((s) => s.sha === sha).reverse(), call.url);
  return { body: page.items.map((status) => giveStatus(call.world, status)), link: page.link };
}

function getCombinedStatus(call: Call): Answer {
  check(call, 'statuses', 'read');
  return { body: giveCombinedStatus(call.world, readRef(call)) };
}

// Check runs belong to a GitHub App; a person's token may read them only.
function checkApp(call: Call): void {
  check(call, 'checks', 'write');
  if (!call.login.endsWith('[bot]')) throw makeForbidden(call.login, 'checks=write');
}

/** Takes over what a request says of a check run, after all of it has been checked. */
function fillCheckRun(run: CheckRunRecord, body: Record<string, unknown>): void {
  const output = (body.output ?? {}) as Record<string, unknown>;
  const summary = readOptionalText(output, 'summary');
  const text = readOptionalText(output, 'text');
  const title = readOptionalText(output, 'title');
  for (const [field, value] of Object.entries({ summary, text })) {
    if ([...(value ?? '')].length > 65_535) {
      throw makeMalformed(
        `For 'properties/${field}', only 65535 characters are allowed; more were supplied.`,
      );
    }
  }
  const annotations = Array.isArray(output.annotations) ? output.annotations.length : 0;
  if (annotations > 50) {
    throw makeMalformed(`No more than 50 items are allowed; ${annotations} were supplied.`);
  }
  const status =
    body.status === undefined
      ? undefined
      : readWord(body, 'status', ['queued', 'in_progress', 'completed']);
  const conclusion =
    body.conclusion === undefined
      ? undefined
      : readWord(body, 'conclusion', [
          'success',
          'failure',
          'neutral',
          'cancelled',
          'skipped',
          'timed_out',
          'action_required',
        ]);
  if (status === 'completed' && conclusion === undefined) {
    throw makeMalformed(`"conclusion" wasn't supplied.`);
  }
  run.name = readOptionalText(body, 'name') ?? run.name;
  run.detailsUrl = readOptionalText(body, 'details_url') ?? run.detailsUrl;
  run.externalId = readOptionalText(body, 'external_id') ?? run.externalId;
  run.startedAt = readOptionalText(body, 'started_at') ?? run.startedAt;
  run.title = title ?? run.title;
  run.summary = summary ?? run.summary;
  run.text = text ?? run.text;
  run.annotations += annotations;
  // A conclusion completes the run, whatever status came with it.
  run.status = conclusion === undefined ? (status ?? run.status) : 'completed';
  run.conclusion = conclusion ?? run.conclusion;
  if (conclusion !== undefined)
    run.completedAt = readOptionalText(body, 'completed_at') ?? readClock();
}

function createCheckRun(call: Call): Answer {
  checkApp(call);
  const { state } = call.world;
  const name = readText(call.body, 'name');
  const sha = readText(call.body, 'head_sha');
  if (state.commits[sha] === undefined) throw new Problem(422, `No commit found for SHA: ${sha}`);
  const run: CheckRunRecord = {
    id: takeId(state),
    sha,
    name,
    status: 'queued',
    conclusion: null,
    detailsUrl: null,
    externalId: null,
    startedAt: readClock(),
    completedAt: null,
    title: null,
    summary: null,
    text: null,
    annotations: 0,
  };
  fillCheckRun(run, call.body);
  state.checkRuns[run.id] = run;
  return { status: 201, body: giveCheckRun(call.world, run) };
}

function findCheckRun(call: Call): CheckRunRecord {
  const run = call.world.state.checkRuns[call.params.id ?? ''];
  if (run === undefined) throw makeNotFound();
  return run;
}

function updateCheckRun(call: Call): Answer {
  checkApp(call);
  const run = findCheckRun(call);
  fillCheckRun(run, call.body);
  return { body: giveCheckRun(call.world, run) };
}

function getCheckRun(call: Call): Answer {
  check(call, 'checks', 'read');
  return { body: giveCheckRun(call.world, findCheckRun(call)) };
}

function listCheckRuns(call: Call): Answer {
  check(call, 'checks', 'read');
  const sha = readRef(call);
  const query = call.url.searchParams;
  const name = query.get('check_name');
  const status = query.get('status');
  const latest = (query.get('filter') ?? 'latest') === 'latest';
  const runs = Object.values(call.world.state.checkRuns)
    .filter((run) => run.sha === sha)
    .filter((run) => name === null || run.name === name)
    .filter((run) => status === null || run.status === status)
    .sort((a, b) => b.id - a.id)
    .filter(
      (run, index, all) => !latest || all.findIndex((other) => other.name === run.name) === index,
    );
  const page = cutPage(runs, call.url);
  return {
    body: {
      total_count: runs.length,
      check_runs: page.items.map((run) => giveCheckRun(call.world, run)),
    },
    link: page.link,
  };
}

const base = '/repos/:owner/:repo';

/** Commit statuses and check runs. */
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
    method: 'POST',
    pattern: `${base}/check-runs`,
    documentation: 'checks/runs#create-a-check-run',
    changes: true,
    run: createCheckRun,
  },
  {
    method: 'GET',
    pattern: `${base}/check-runs/:id`,
    documentation: 'checks/runs#get-a-check-run',
    run: getCheckRun,
  },
  {
    method: 'PATCH',
    pattern: `${base}/check-runs/:id`,
    documentation: 'checks/runs#update-a-check-run',
    changes: true,
    run: updateCheckRun,
  },
  {
    method: 'GET',
    pattern: `${base}/commits/:ref/check-runs`,
    documentation: 'checks/runs#list-check-runs-for-a-git-reference',
    run: listCheckRuns,
  },
];
