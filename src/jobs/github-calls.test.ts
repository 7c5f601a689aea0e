import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createPlan } from '../report/fixtures/plan.ts';
import { createPlanReport } from '../report/fixtures/report.ts';
import type { RunnableIntent } from '../runner/intent.ts';
import { Announcement } from './announcement.ts';
import { configureNodes } from './configure-nodes.ts';
import { dispatch } from './dispatch.ts';
import type { Job } from './job.ts';
import { planCluster } from './plan-cluster.ts';
import { saveWorkspaces } from './post-state.ts';
import { buildDatabasePlan, previewRollout } from './preview.ts';
import { createJob } from './testing/job.ts';

// What a run costs at GitHub: its calls, and how many of them it waits for. Terraform and the nodes are replaced.

vi.mock('@actions/core');
vi.mock('./plan-cluster.ts');
vi.mock('./configure-nodes.ts');
vi.mock('./preview.ts');
vi.mock('./volume-check.ts', () => ({ checkVolumes: async () => ({ refusals: [], notes: [] }) }));
vi.mock('../terraform/permit.ts', () => ({ permit: () => null, explainApplyRefusal: () => [] }));
vi.mock('./staged-apply.ts', () => ({
  StagedApply: class {
    async provision() {
      return [];
    }
  },
}));

/** How long Terraform and the nodes take, in ms. */
const WORK_MS = 300;
const LATENCY_MS = 20;

let github: GitHub;
let number: number;
let head: string;
let folder: string;
beforeEach(async () => {
  github = await startGitHub({ latency: LATENCY_MS });
  const { payload } = github.openPullRequest({ branch: 'more', title: 'More' });
  ({ number } = payload);
  head = payload.pull_request.head.sha;
  folder = mkdtempSync(join(tmpdir(), 'calls-'));
  saveWorkspaces({ temporary: folder, directory: folder });
  const report = createPlanReport(createPlan([]));
  const work = () => sleep(WORK_MS);
  vi.mocked(planCluster).mockImplementation(async () => {
    await work();
    return {
      plan: {
        summary: report.plan,
        nodeChanges: { create: [], replace: [], resize: [], destroy: [], fresh: [] },
        existing: { nodes: [], notRunning: [] },
        digest: 'd'.repeat(64),
        providerLock: null,
        memoryMib: 1024,
      },
      terraform: null,
      tool: null,
    } as never;
  });
  vi.mocked(configureNodes).mockImplementation(async () => {
    await work();
    return { nodes: [], changes: [] } as never;
  });
  const { cluster: _, plan: __, refusals: ___, run: ____, ...database } = report;
  vi.mocked(buildDatabasePlan).mockReturnValue(database as never);
  vi.mocked(previewRollout).mockImplementation(
    async () =>
      ({ observed: [], slotLoss: null, backupLoss: null, database: report.database }) as never,
  );
});
afterEach(async () => {
  vi.clearAllMocks();
  rmSync(folder, { recursive: true });
  await github.stop();
});

function openJob(name: string, { id = 20, comment = 'own' as 'own' | 'shared' } = {}): Job {
  const githubToken = github.createToken({
    permissions: { contents: 'read', pull_requests: 'write', issues: 'write', checks: 'write' },
  });
  return createJob({
    folder,
    environment: { apiUrl: github.urls.api, run: { id, attempt: 1 } },
    inputs: { githubToken, comment, spec: { name, imageTag: '18-trixie', replicaCount: 1 } },
  });
}

const bodies = () => github.listComments(number).map(({ body = '' }) => body);

const run = (intent: Partial<RunnableIntent> & { kind: 'review' | 'deploy' }, job: Job) =>
  dispatch(intent as RunnableIntent, { job, notes: [], redact: (text) => text });

const review = (job: Job, sha: string) =>
  run(
    { kind: 'review', event: 'pull_request', base: 'main', pullRequest: number, queued: null, sha },
    job,
  );
const deploy = (job: Job, sha: string) =>
  run({ kind: 'deploy', pullRequest: null, branch: 'main', pushedAt: null, sha }, job);

/** The calls since `before`, with the tail of their paths. */
const listCalls = (before: number) =>
  github.journal
    .slice(before)
    .filter(({ path }) => path !== '/graphql')
    .map(({ method, path }) => `${method} ${path.replace(/.*acme\/database\//, '')}`);
const isWrite = (call: string) => /^(?:POST|PATCH) /.test(call);

/** Opens a pull request, reviews it and merges it; returns the merge's commit. */
async function prepare(inputs = {}): Promise<string> {
  await review(openJob('orders', inputs), head);
  return github.merge(number, 'squash').push.sha;
}

test('a review is at most ten calls, four of them writes', async () => {
  await review(openJob('orders'), head);
  const calls = listCalls(0);
  expect(calls.length).toBeLessThanOrEqual(10);
  expect(calls.filter(isWrite).length).toBeLessThanOrEqual(4);
  expect(bodies()).toEqual([expect.stringContaining('`orders`')]);
});

test('a deploy with nothing to do is at most thirteen calls, six of them writes', async () => {
  const sha = await prepare();
  const before = github.journal.length;
  await deploy(openJob('orders', { id: 30 }), sha);
  const calls = listCalls(before);
  expect(calls.length).toBeLessThanOrEqual(13);
  expect(calls.filter(isWrite).length).toBeLessThanOrEqual(6);
  expect(bodies()).toEqual([expect.stringContaining('run: 30/1')]);
});

test('a loss that a label allows costs one call more, and both reports name who allowed it', async () => {
  const removal = { address: 'aws_instance.node["2"]', actions: ['delete'], before: { id: 'i-2' } };
  const { plan: summary } = createPlanReport(createPlan([removal]));
  const planned = await planCluster(openJob('orders'), { lock: false });
  vi.mocked(planCluster).mockResolvedValue({ ...planned, plan: { ...planned.plan, summary } });
  github.label(number, 'allow-destroy', 'bob');
  const allowed = (id: number) => {
    const job = openJob('orders', { id });
    return { ...job, inputs: { ...job.inputs, allowDestroyLabel: 'Allow-Destroy' } };
  };
  const text =
    '**Allowed** by `bob` with the label `Allow-Destroy`: deletes the instance of node-2.';
  await review(allowed(20), head);
  expect(bodies()).toEqual([expect.stringContaining(text)]);
  const { sha } = github.merge(number, 'squash').push;
  await deploy(allowed(30), sha);
  expect(bodies()).toEqual([expect.stringMatching(/run: 30\/1/)]);
  expect(bodies()).toEqual([expect.stringContaining(text)]);
  expect(listCalls(0).filter((call) => /timeline/.test(call))).toHaveLength(2);
});

test('Terraform and the nodes do not wait for the comment', async () => {
  const sha = await prepare();
  const path = /\/comments/;
  // Only updates are refused: the last report comes afterwards.
  github.failNext({ method: 'PATCH', path, kind: 'secondary-limit', retryAfterSeconds: 60 });
  const configured = vi.mocked(configureNodes).mockImplementation(async () => {
    expect(bodies()[0]).not.toContain('run: 30/1');
    return { nodes: [], changes: [] } as never;
  });
  await deploy(openJob('orders', { id: 30 }), sha);
  expect(configured).toHaveBeenCalledOnce();
  expect(bodies()).toEqual([expect.stringMatching(/run: 30\/1[\s\S]*✅/)]);
});

test('the last report is not overwritten by an update that was on its way', async () => {
  const sha = await prepare();
  vi.mocked(configureNodes).mockResolvedValue({ nodes: [], changes: [] } as never);
  for (let turn = 0; turn < 5; turn++) {
    await deploy(openJob('orders', { id: 30 + turn }), sha);
    expect(bodies()).toEqual([expect.stringMatching(/✅/)]);
    await sleep(4 * LATENCY_MS);
    expect(bodies()).toEqual([expect.stringMatching(/✅/)]);
  }
});

describe('a job that is killed while it reports', () => {
  /** Reads what `post` would find while the last report is published. */
  const watch = () => {
    const found: Partial<Record<'progress' | 'undelivered', string>> = {};
    const publish = vi.spyOn(Announcement.prototype, 'publish').mockImplementation(async () => {
      for (const name of ['progress', 'undelivered'] as const) {
        const path = join(folder, `${name}.json`);
        if (existsSync(path)) found[name] = readFileSync(path, 'utf8');
      }
    });
    return { found, stop: () => publish.mockRestore() };
  };

  test('has deployed', async () => {
    const sha = await prepare();
    const { found, stop } = watch();
    await deploy(openJob('orders', { id: 30 }), sha);
    stop();
    expect(JSON.parse(found.progress ?? '{}')).toMatchObject({ progress: { state: 'done' } });
    expect(existsSync(join(folder, 'progress.json'))).toBe(false);
  });

  test('has planned', async () => {
    const { found, stop } = watch();
    await review(openJob('orders'), head);
    stop();
    expect(found).toEqual({ undelivered: expect.stringContaining('no changes') });
    expect(existsSync(join(folder, 'undelivered.json'))).toBe(false);
  });
});

test('a shared comment has the sections of twelve clusters of a review and of its merge, and GitHub refuses nothing', async () => {
  const names = Array.from({ length: 12 }, (_, index) => `c${String(index + 1).padStart(2, '0')}`);
  // The jobs of a matrix start within seconds.
  const stagger = (work: (name: string) => Promise<void>) =>
    Promise.all(names.map((name, index) => sleep(150 * index).then(() => work(name))));
  await stagger((name) => review(openJob(name, { comment: 'shared' }), head));
  const listed = () => (bodies()[0] ?? '').match(/begin: \w+/g);
  const all = names.map((name) => `begin: ${name}`);
  expect([bodies().length, listed()]).toEqual([1, all]);
  expect(listCalls(0).filter(isWrite).length).toBeLessThanOrEqual(4 * names.length);
  const { sha } = github.merge(number, 'squash').push;
  const before = github.journal.length;
  await stagger((name) => deploy(openJob(name, { id: 30, comment: 'shared' }), sha));
  expect([bodies().length, listed()]).toEqual([1, all]);
  expect(bodies()[0]?.match(/run: 30\/1/g)).toHaveLength(names.length);
  expect(bodies()[0]?.match(/state: final/g)).toHaveLength(names.length);
  expect(listCalls(before).filter(isWrite).length).toBeLessThanOrEqual(6 * names.length);
  // Its rate limits: 80 writes of content in a minute are the tightest.
  expect(github.journal.filter(({ status }) => [403, 429].includes(status))).toEqual([]);
}, 30_000);
