import { findPulls } from './association.ts';
import { refreshMerge } from './branch.ts';
import { cutPage } from './page.ts';
import { checkPermission, Problem } from './problem.ts';
import { buildFile, buildFullPull, buildPull } from './pull-shape.ts';
import type { Answer, Call, Route } from './route.ts';
import { findPull } from './route.ts';
import { defaultBranch, readMainHead } from './state.ts';

function checkPulls(call: Call): void {
  checkPermission(
    { state: call.world.state, token: call.token },
    { permission: 'pull_requests', access: 'read' },
  );
}

function listPulls(call: Call): Answer {
  checkPulls(call);
  const { state } = call.world;
  const query = call.url.searchParams;
  const wanted = query.get('state') ?? 'open';
  const head = query.get('head');
  const base = query.get('base');
  // Newest first, unless the client asks for another sort key or a direction.
  const ascending = (query.get('direction') ?? 'desc') === 'asc';
  const pulls = Object.values(state.pulls)
    .filter((pull) => wanted === 'all' || state.issues[pull.number]?.state === wanted)
    .filter((pull) => head === null || head === `${pull.headOwner}:${pull.branch}`)
    .filter((pull) => base === null || base === pull.base)
    .sort((a, b) => (ascending ? a.number - b.number : b.number - a.number));
  const page = cutPage(pulls, call.url);
  return { body: page.items.map((pull) => buildPull(call.world, pull)), link: page.link };
}

function getPull(call: Call): Answer {
  checkPulls(call);
  const pull = findPull(call);
  refreshMerge(call.world, pull);
  return { body: buildFullPull(call.world, pull) };
}

function listFiles(call: Call): Answer {
  checkPulls(call);
  const pull = findPull(call);
  const page = cutPage(pull.files, call.url);
  return { body: page.items.map((file) => buildFile(call.world, pull, file)), link: page.link };
}

function listPullsOfCommit(call: Call): Answer {
  checkPulls(call);
  const { state } = call.world;
  const ref = call.params.ref ?? '';
  const commit = state.commits[ref === defaultBranch ? readMainHead(state) : ref];
  if (commit === undefined) throw new Problem(422, `No commit found for SHA: ${ref}`);
  // GitHub links a commit to its pull request shortly after the push event.
  if (commit.emptyAnswers > 0) {
    commit.emptyAnswers -= 1;
    return { body: [] };
  }
  const page = cutPage(findPulls(state, commit.sha), call.url);
  return { body: page.items.map((pull) => buildPull(call.world, pull)), link: page.link };
}

const base = '/repos/:owner/:repo';

/** Pull requests. */
export const pullRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: `${base}/pulls`,
    documentation: 'pulls/pulls#list-pull-requests',
    run: listPulls,
  },
  {
    method: 'GET',
    pattern: `${base}/pulls/:number`,
    documentation: 'pulls/pulls#get-a-pull-request',
    changes: true,
    run: getPull,
  },
  {
    method: 'GET',
    pattern: `${base}/pulls/:number/files`,
    documentation: 'pulls/pulls#list-pull-requests-files',
    run: listFiles,
  },
  {
    method: 'GET',
    pattern: `${base}/commits/:ref/pulls`,
    documentation: 'commits/commits#list-pull-requests-associated-with-a-commit',
    changes: true,
    run: listPullsOfCommit,
  },
];
