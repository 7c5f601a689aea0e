import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Nodes } from '../ansible/nodes.ts';
import type { AnsibleResult } from '../ansible/result.ts';
import type { DesiredCluster } from '../cluster/desired.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import type { Step } from '../cluster/rollout/step.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { createDesired, createHealthy, createNode } from '../cluster/testing/fixtures.ts';
import type { DeployReport } from '../report/deploy-report.ts';
import { createPlan } from '../report/fixtures/plan.ts';
import { createPlanReport } from '../report/fixtures/report.ts';
import { listLosses } from '../report/losses.ts';
import { deploy } from './deploy.ts';
import { planCluster } from './plan-cluster.ts';
import { saveWorkspaces } from './post-state.ts';
import type { RunContext } from './run-context.ts';
import { StagedApply } from './staged-apply.ts';
import { createJob } from './testing/job.ts';

// How often a deploy looks at the nodes, and what it says of what it loses. Terraform, GitHub and the nodes are replaced.

vi.mock('@actions/core');
vi.mock('../ansible/nodes.ts');
vi.mock('./plan-cluster.ts');
vi.mock('./volume-check.ts', () => ({ checkVolumes: async () => ({ refusals: [], notes: [] }) }));
vi.mock('../terraform/permit.ts', () => ({ permit: () => null, explainApplyRefusal: () => [] }));
vi.mock('./staged-apply.ts', () => ({ StagedApply: vi.fn() }));

/** What runs; a deploy asks for other settings. */
const RUNNING = createDesired();
const EXISTING = RUNNING.nodes;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'look-'));
  saveWorkspaces({ temporary: folder, directory: folder });
});
afterEach(() => {
  vi.clearAllMocks();
  rmSync(folder, { recursive: true });
});

const openJob = (spec: Partial<ClusterSpec>) =>
  createJob({
    folder,
    inputs: {
      secrets: { sshPrivateKey: 'a key' },
      allowSlotLossLabel: LABEL,
      spec: {
        ...{ name: RUNNING.name, clientCidrs: RUNNING.clientCidrs },
        settings: { ...RUNNING.settings, work_mem: '8MB' },
        ...spec,
      },
    },
  });

const COMMIT = 'c'.repeat(40);
const LABEL = 'allow-slot-loss';

const summarize = vi.fn();
const CONTEXT = {
  commit: COMMIT,
  warnings: [],
  pullRequest: {
    read: async () => ({ labels: [LABEL], mergeCommitSha: COMMIT }),
    findLabelers: async () => new Map([[LABEL, 'alice']]),
  },
  announcement: { undelivered: null, show() {}, summarize, async publish() {} },
  deployCheck: { async begin() {}, resume() {}, async end() {} },
  reviewStore: { find: async () => null, buildRecord: () => ({ digest: 'd' }) },
} as unknown as RunContext;

/** Deploys settings; `provision` returns the nodes after the apply. Returns the observations and what was performed. */
async function run({
  hasTouched = false,
  hasChanges = true,
  nodes = EXISTING,
  observed = createHealthy(RUNNING),
  spec = {},
}: {
  hasTouched?: boolean;
  /** Whether Terraform has anything to apply; a setting changes its outputs. */
  hasChanges?: boolean;
  nodes?: DesiredCluster['nodes'];
  observed?: readonly NodeObservation[];
  spec?: Partial<ClusterSpec>;
} = {}) {
  const { plan: summary } = createPlanReport(createPlan([]));
  vi.mocked(planCluster).mockResolvedValue({
    plan: {
      summary: { ...summary, hasChanges },
      nodeChanges: { create: [], replace: [], resize: [], destroy: [], fresh: [] },
      existing: { nodes: EXISTING, notRunning: [] },
      digest: 'd',
      providerLock: null,
      memoryMib: 4096,
      state: { endpointId: null },
      volumes: [],
    },
    terraform: null,
    tool: null,
  } as never);
  vi.mocked(StagedApply).mockImplementation(
    class {
      hasTouched = hasTouched;
      endpointId = null;
      provision = async () => nodes;
    } as never,
  );
  const [observe, perform] = [vi.fn(), vi.fn()];
  observe.mockResolvedValue({
    ...{ unreachable: [], broken: [], locked: [], failures: [] },
    observed,
  });
  const proof = EXISTING.map(({ name }) => ({
    name,
    ...{ role: name === 'node-1' ? 'primary' : 'replica', state: 'streaming', tokenRead: true },
    ...{ problem: null, replayPaused: false, systemIdentifier: '7300000000000000001' },
    ...{ storage: null, archiver: null, slot: null, lagBytes: 0, lagSeconds: 0, lsn: '0/1' },
  }));
  perform.mockResolvedValue({
    ...{ observations: [], failures: [], notes: [], changes: [], pending: [], stats: {} },
    proof,
  } as unknown as AnsibleResult);
  vi.mocked(Nodes).mockImplementation(
    class {
      inventory = 'inventory.ini';
      observe = observe;
      perform = perform;
      async reach() {}
      async close() {}
    } as never,
  );
  await deploy(openJob(spec), CONTEXT, { branch: 'main', pushedAt: null });
  const steps = perform.mock.calls.flatMap(([work]) =>
    (work as { steps: Step[] }).steps.map(({ kind }) => kind),
  );
  return { looks: observe.mock.calls.length, steps };
}

test('a deploy that changes only settings looks at the nodes once', async () => {
  expect(await run()).toEqual({ looks: 1, steps: ['reload'] });
});

test('a deploy without anything for Terraform looks at the nodes once', async () => {
  expect(await run({ hasChanges: false })).toEqual({ looks: 1, steps: ['reload'] });
});

test('a deploy that changed resources looks again', async () => {
  expect(await run({ hasTouched: true })).toMatchObject({ looks: 2 });
});

test('a deploy after which a node has another address looks again', async () => {
  const moved = { ...createNode(1), publicAddress: '203.0.113.99' };
  expect(await run({ nodes: [moved, ...EXISTING.slice(1)] })).toMatchObject({ looks: 2 });
});

const LOGICAL = { ...RUNNING.settings, wal_level: 'logical' };

/** The nodes, the primary with a logical slot that no replica copies. */
const withSlot = (): NodeObservation[] =>
  createHealthy(createDesired({ settings: LOGICAL })).map((node, index) => ({
    ...node,
    postgres: node.postgres && {
      ...node.postgres,
      logicalSlots:
        index > 0
          ? []
          : [
              {
                ...{ name: 'cdc', database: 'shop', plugin: 'pgoutput', active: true },
                ...{ failover: false, synced: false, invalid: false, leftover: false },
              },
            ],
    },
  }));

// Without anything to apply, as in a rerun after the apply, only what configures the nodes knows of the loss.
test.each([true, false])(
  'a deploy that loses a slot says so, and who allowed it (anything to apply: %s)',
  async (hasChanges) => {
    const spec = { primary: 'node-2', settings: LOGICAL };
    const { steps } = await run({ hasChanges, observed: withSlot(), spec });
    expect(steps).toContain('switchover');
    const [{ plan, losses }] = summarize.mock.calls.at(-1) as [DeployReport];
    expect(plan && losses && listLosses({ ...losses, plan }).allowed).toEqual([
      expect.stringMatching(
        /^\*\*Allowed\*\* by `alice` with the label `allow-slot-loss`: node-1: logical slot cdc/,
      ),
    ]);
  },
);
