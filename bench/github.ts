// npm run bench:github measures what GitHub costs a deploy with nothing to do, and a
// review: calls, writes, and how much longer they take with 200 ms a call. Terraform and the nodes are replaced.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { mock } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGitHub } from '../lab/github/github.ts';
import type { Job } from '../src/jobs/job.ts';
import { createJob } from '../src/jobs/testing/job.ts';
import { createPlan } from '../src/report/fixtures/plan.ts';
import { createPlanReport } from '../src/report/fixtures/report.ts';
import type { RunnableIntent } from '../src/runner/intent.ts';

const LATENCY_MS = 200;
const RUNS = 3;
/** How long Terraform takes to plan, and the nodes to be looked at or configured, in ms. Both are longer in practice. */
const WORK_MS = 1_000;
/** The most that a run may take longer with the latency than without, in ms. */
const MAX_MS = { deploy: 1_200, review: 1_200 };

/** What makes the bench fail. */
const problems: string[] = [];
// What the action tells the runner is no part of this, except its warnings.
const summaryFile = { emptyBuffer: () => summaryFile, addRaw: () => summaryFile, async write() {} };
const silent = ['info', 'notice', 'debug', 'setOutput', 'saveState', 'startGroup', 'endGroup'];
mock.module('@actions/core', {
  namedExports: {
    ...(await import('@actions/core')),
    ...Object.fromEntries(silent.map((name) => [name, () => {}])),
    summary: summaryFile,
    warning: (text: string) => problems.push(text),
  },
});

/** Replaces exports of a module for those that are imported later. */
async function replace(path: string, replaced: object): Promise<void> {
  const { href } = new URL(`../src/${path}`, import.meta.url);
  mock.module(href, { namedExports: { ...(await import(href)), ...replaced } });
}
const work = <Result>(result: Result) => sleep(WORK_MS, result);

const report = createPlanReport(createPlan([]));
const { cluster: _, plan: summary, refusals: __, run: ___, ...described } = report;
const plan = {
  summary,
  nodeChanges: { create: [], replace: [], resize: [], destroy: [], fresh: [] },
  existing: { nodes: [], notRunning: [] },
  digest: 'd'.repeat(64),
  providerLock: null,
  memoryMib: 1024,
};
await replace('jobs/plan-cluster.ts', {
  planCluster: () => work({ plan, terraform: null, tool: null }),
});
await replace('jobs/configure-nodes.ts', {
  configureNodes: () => work({ nodes: [], changes: [] }),
});
await replace('jobs/preview.ts', {
  previewRollout: () =>
    work({ observed: [], slotLoss: null, backupLoss: null, database: report.database }),
  buildDatabasePlan: () => described,
});
await replace('jobs/volume-check.ts', { checkVolumes: async () => ({ refusals: [], notes: [] }) });
await replace('terraform/permit.ts', { permit: () => null, explainApplyRefusal: () => [] });
await replace('jobs/staged-apply.ts', {
  StagedApply: class {
    async provision() {
      return [];
    }
  },
});

const { dispatch } = await import('../src/jobs/dispatch.ts');
const { saveWorkspaces } = await import('../src/jobs/post-state.ts');

const folder = mkdtempSync(join(tmpdir(), 'bench-github-'));
saveWorkspaces({ temporary: folder, directory: folder });

type GitHub = Awaited<ReturnType<typeof startGitHub>>;

function openJob(github: GitHub, id: number): Job {
  const githubToken = github.createToken({
    permissions: { contents: 'read', pull_requests: 'write', issues: 'write', checks: 'write' },
  });
  return createJob({
    folder,
    environment: { apiUrl: github.urls.api, run: { id, attempt: 1 } },
    inputs: { githubToken, spec: { imageTag: '18-trixie', replicaCount: 1 } },
  });
}

interface Cost {
  readonly ms: number;
  readonly calls: number;
  readonly writes: number;
}

/** Measures one run. */
async function measure(github: GitHub, intent: object): Promise<Cost> {
  const before = github.journal.length;
  const start = performance.now();
  const options = { job: openJob(github, ++runs), notes: [], redact: (text: string) => text };
  await dispatch(intent as RunnableIntent, options);
  const ms = performance.now() - start;
  // Answers of updates that nothing waits for.
  await sleep(2 * LATENCY_MS);
  const calls = github.journal.slice(before);
  const isWrite = ({ method, path }: { method: string; path: string }) =>
    /^(?:POST|PATCH)$/.test(method) && path !== '/graphql';
  return { ms, calls: calls.length, writes: calls.filter(isWrite).length };
}
let runs = 20;

/** Reviews a pull request and deploys its merge, several times. */
async function measureBoth(perCall: number): Promise<{ review: Cost[]; deploy: Cost[] }> {
  const github = await startGitHub({ latency: { perCall } });
  const costs: { review: Cost[]; deploy: Cost[] } = { review: [], deploy: [] };
  for (let turn = 0; turn < RUNS; turn++) {
    const { payload } = github.openPullRequest({ branch: `change-${turn}`, title: 'Change' });
    const review = {
      ...{ kind: 'review', event: 'pull_request', base: 'main', queued: null },
      ...{ pullRequest: payload.number, sha: payload.pull_request.head.sha },
    };
    costs.review.push(await measure(github, review));
    const { sha } = github.merge(payload.number, 'squash').push;
    const deploy = { kind: 'deploy', pullRequest: null, branch: 'main', pushedAt: null, sha };
    costs.deploy.push(await measure(github, deploy));
  }
  await github.stop();
  return costs;
}

const median = (costs: readonly Cost[]) =>
  [...costs].sort((a, b) => a.ms - b.ms)[costs.length >> 1] as Cost;
const without = await measureBoth(0);
const slow = await measureBoth(LATENCY_MS);
rmSync(folder, { recursive: true });
for (const kind of ['deploy', 'review'] as const) {
  const [fast, late] = [median(without[kind]), median(slow[kind])];
  const more = late.ms - fast.ms;
  process.stdout.write(
    `${kind}: ${late.calls} calls, ${late.writes} of them writes; ${fast.ms.toFixed(0)} ms, with ${LATENCY_MS} ms a call ${late.ms.toFixed(0)} ms: ${more.toFixed(0)} ms longer\n`,
  );
  if (more > MAX_MS[kind]) problems.push(`the ${kind} takes more than ${MAX_MS[kind]} ms longer`);
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
