import { buildCheckRun } from './commit-shape.ts';
import { cutPage } from './page.ts';
import { checkPermission, makeInvalid, makeMalformed, makeNotFound, Problem } from './problem.ts';
import { readRef } from './ref.ts';
import type { Answer, Call, Route } from './route.ts';
import { readOptionalText, readText, readWord } from './route.ts';
import type { CheckRunRecord, CheckSuiteRecord, State } from './state.ts';
import { findAppId, readClock, takeId } from './state.ts';

/** The maximum length of a summary or a text, in characters and in bytes. */
const outputLimit = 65_535;

function check(call: Call, access: 'read' | 'write'): void {
  checkPermission({ state: call.world.state, token: call.token }, { permission: 'checks', access });
}

/** Returns the app that sent the request: only apps may write check runs. @throws Problem 403 */
function checkApp(call: Call): string {
  // People's tokens are refused regardless of their permissions.
  if (!call.login.endsWith('[bot]')) {
    throw new Problem(403, 'You must authenticate via a GitHub App.');
  }
  check(call, 'write');
  return call.login.slice(0, -'[bot]'.length);
}

/** Adds the check suite of a workflow run or of another app. */
export function addCheckSuite(state: State, suite: { app: string; sha: string }): CheckSuiteRecord {
  const record = { id: takeId(state), ...suite };
  state.checkSuites[record.id] = record;
  return record;
}

/**
 * Returns the suite of a check run made through the API: the app's first one on the commit, for every workflow.
 * A request cannot name one. Source: github.com/orgs/community/discussions/24616, LouisBrunner/checks-action#26.
 */
function findFirstSuite(state: State, { app, sha }: { app: string; sha: string }): number {
  const suites = Object.values(state.checkSuites)
    .filter((suite) => suite.app === app && suite.sha === sha)
    .sort((a, b) => a.id - b.id);
  return (suites[0] ?? addCheckSuite(state, { app, sha })).id;
}

/** Adds a check run to the app's first suite of the commit, or to the named suite, and returns it. */
export function addCheckRun(
  state: State,
  run: { app: string; sha: string; name: string; suite?: number },
): CheckRunRecord {
  const record: CheckRunRecord = {
    id: takeId(state),
    ...run,
    suite: run.suite ?? findFirstSuite(state, run),
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
  state.checkRuns[record.id] = record;
  return record;
}

type Output = Pick<CheckRunRecord, 'title' | 'summary' | 'text' | 'annotations'>;

/** Reads the `output` of a request, null if it has none. @throws Problem 422 */
function readOutput(body: Record<string, unknown>): Output | null {
  if (body.output === undefined || body.output === null) return null;
  const output = body.output as Record<string, unknown>;
  const title = readText(output, 'title');
  const summary = readText(output, 'summary');
  const text = readOptionalText(output, 'text') ?? null;
  for (const [field, value] of Object.entries({ summary, text: text ?? '' })) {
    const characters = [...value].length;
    if (characters > outputLimit) {
      throw makeMalformed(
        `Only ${outputLimit} characters are allowed; ${characters} were supplied.`,
      );
    }
    // The description counts characters, the table behind it bytes.
    if (Buffer.byteLength(value) > outputLimit) {
      const message = `${field} exceeds a maximum bytesize of ${outputLimit}`;
      throw makeInvalid([{ resource: 'CheckRun', code: 'custom', field, message }]);
    }
  }
  const annotations = Array.isArray(output.annotations) ? output.annotations.length : 0;
  if (annotations > 50) {
    throw makeMalformed(`No more than 50 items are allowed; ${annotations} were supplied.`);
  }
  return { title, summary, text, annotations };
}

function readConclusion(body: Record<string, unknown>) {
  if (body.conclusion === undefined) return undefined;
  return readWord(body, 'conclusion', [
    'success',
    'failure',
    'neutral',
    'cancelled',
    'skipped',
    'timed_out',
    'action_required',
  ]);
}

/** Reads a check run from a request; checks everything before it stores anything. */
function readFields(call: Call, app: string): (run: CheckRunRecord) => void {
  const { body } = call;
  const output = readOutput(body);
  const conclusion = readConclusion(body);
  const status =
    body.status === undefined
      ? undefined
      : readWord(body, 'status', ['queued', 'in_progress', 'completed']);
  if (status === 'completed' && conclusion === undefined) {
    throw makeMalformed(`"conclusion" wasn't supplied.`);
  }
  const name = readOptionalText(body, 'name');
  const externalId = readOptionalText(body, 'external_id');
  const startedAt = readOptionalText(body, 'started_at');
  const completedAt = readOptionalText(body, 'completed_at');
  // A workflow's token cannot set the details URL: it is always GitHub's own page.
  const detailsUrl = app === 'github-actions' ? undefined : readOptionalText(body, 'details_url');
  return (run) => {
    run.name = name ?? run.name;
    run.detailsUrl = detailsUrl ?? run.detailsUrl;
    run.externalId = externalId ?? run.externalId;
    run.startedAt = startedAt ?? run.startedAt;
    if (output !== null) {
      run.title = output.title;
      run.summary = output.summary;
      run.text = output.text ?? run.text;
      run.annotations += output.annotations;
    }
    // A conclusion completes the run, regardless of the status in the request.
    run.status = conclusion === undefined ? (status ?? run.status) : 'completed';
    run.conclusion = conclusion ?? run.conclusion;
    if (conclusion !== undefined) run.completedAt = completedAt ?? readClock();
  };
}

function createCheckRun(call: Call): Answer {
  const app = checkApp(call);
  const { state } = call.world;
  const name = readText(call.body, 'name');
  const sha = readText(call.body, 'head_sha');
  if (state.commits[sha] === undefined) throw new Problem(422, `No commit found for SHA: ${sha}`);
  const fill = readFields(call, app);
  const run = addCheckRun(state, { app, sha, name });
  fill(run);
  return { status: 201, body: buildCheckRun(call.world, run) };
}

function findCheckRun(call: Call): CheckRunRecord {
  const run = call.world.state.checkRuns[call.params.id ?? ''];
  if (run === undefined) throw makeNotFound();
  return run;
}

function updateCheckRun(call: Call): Answer {
  const app = checkApp(call);
  const run = findCheckRun(call);
  if (run.app !== app) {
    throw new Problem(
      403,
      `Invalid app_id \`${findAppId(app)}\` - check run can only be modified by the GitHub App that created it.`,
    );
  }
  readFields(call, app)(run);
  return { body: buildCheckRun(call.world, run) };
}

function getCheckRun(call: Call): Answer {
  check(call, 'read');
  return { body: buildCheckRun(call.world, findCheckRun(call)) };
}

function listCheckRuns(call: Call): Answer {
  check(call, 'read');
  const sha = readRef(call);
  return answerCheckRuns(call, (run) => run.sha === sha);
}

function listSuiteRuns(call: Call): Answer {
  check(call, 'read');
  const suite = call.world.state.checkSuites[call.params.id ?? ''];
  if (suite === undefined) throw makeNotFound();
  return answerCheckRuns(call, (run) => run.suite === suite.id);
}

function answerCheckRuns(call: Call, belongs: (run: CheckRunRecord) => boolean): Answer {
  const query = call.url.searchParams;
  const [name, status, appId] = [query.get('check_name'), query.get('status'), query.get('app_id')];
  const latest = (query.get('filter') ?? 'latest') === 'latest';
  const runs = Object.values(call.world.state.checkRuns)
    .filter(belongs)
    .filter((run) => name === null || run.name === name)
    .filter((run) => status === null || run.status === status)
    .filter((run) => appId === null || String(findAppId(run.app)) === appId)
    .sort((a, b) => b.id - a.id)
    // The latest run of each name is found per suite.
    .filter((run, index, all) => !latest || all.findIndex(isSameCheck(run)) === index);
  const page = cutPage(runs, call.url);
  return {
    body: {
      total_count: runs.length,
      check_runs: page.items.map((run) => buildCheckRun(call.world, run)),
    },
    link: page.link,
  };
}

const isSameCheck = (run: CheckRunRecord) => (other: CheckRunRecord) =>
  other.name === run.name && other.suite === run.suite;

const base = '/repos/:owner/:repo';

/** Check runs. */
export const checkRoutes: readonly Route[] = [
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
    pattern: `${base}/check-suites/:id/check-runs`,
    documentation: 'checks/runs#list-check-runs-in-a-check-suite',
    run: listSuiteRuns,
  },
  {
    method: 'GET',
    pattern: `${base}/commits/:ref/check-runs`,
    documentation: 'checks/runs#list-check-runs-for-a-git-reference',
    run: listCheckRuns,
  },
];
