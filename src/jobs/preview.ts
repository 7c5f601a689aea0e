import { join } from 'node:path';
import * as core from '@actions/core';
import { type NodeAccess, Nodes } from '../ansible/nodes.ts';
import { warnCollations } from '../cluster/collation.ts';
import { buildDesired, type DesiredCluster } from '../cluster/desired.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import { isRunningPrimary } from '../cluster/replication.ts';
import { explainSlotLoss, findSlotFates } from '../cluster/rollout/logical-slots.ts';
import { listPlannedChanges, type UnobservedPlan } from '../cluster/rollout/planned-changes.ts';
import { type Rollout, rollout } from '../cluster/rollout/rollout.ts';
import { buildTopologyChange } from '../cluster/rollout/topology.ts';
import { compareWithApplied, compareWithLive } from '../cluster/settings/change.ts';
import { UserError } from '../messages/errors.ts';
import { findVantage, requireObservation } from '../operations/configure.ts';
import type { PlanResult } from '../operations/plan.ts';
import { describeExceptions, describeFaults } from '../report/faults.ts';
import { listLeftOut } from '../report/left-out.ts';
import type { PlanReport } from '../report/plan-comment.ts';
import type { SettingsReport } from '../report/settings.ts';
import { findWait, warnSynchronous } from '../report/steps.ts';
import { logGroup } from '../runner/log-group.ts';
import {
  type ExistingNodes,
  explainStopped,
  explainUnstartable,
  findStopped,
} from '../terraform/existing-nodes.ts';
import {
  buildNodeChanges,
  explainOrphanedVolumes,
  readPlannedZones,
} from '../terraform/node-changes.ts';
import type { Job } from './job.ts';

/** How long a node may take to answer when it is only looked at. */
const OBSERVE_SECONDS = 20;

/** What a plan means for the database. */
export interface Preview {
  /** The rollout that the plan brings with it, as if logical slots might be lost; or why it cannot be told. */
  readonly database: Rollout | UnobservedPlan;
  /** Why it is not done while logical slots may not be lost; null where none is. */
  readonly slotLoss: string | null;
  /** The nodes as they were seen; none where nobody could look. */
  readonly observed: readonly NodeObservation[];
  readonly desired: DesiredCluster;
}

/**
 * What the database will go through: the nodes that stand are looked at, those that the plan makes are
 * taken for what they will be. Changes nothing.
 */
export async function previewRollout(job: Job, plan: PlanResult): Promise<Preview> {
  const { spec } = job.inputs;
  const standing = plan.existing.nodes;
  const stopped = findStopped(plan.existing, plan.summary).map(({ name }) => name);
  const desired: DesiredCluster = {
    ...buildDesired(spec, {
      existing: standing,
      instanceType: spec.instanceType,
      memoryMib: plan.memoryMib,
    }),
    stopped,
  };
  const unseen = (database: Preview['database']): Preview => ({
    database,
    slotLoss: null,
    observed: [],
    desired,
  });
  const changes = buildNodeChanges(plan.summary);
  const notObserved = (reason: string) =>
    unseen({
      notObserved: [reason, ...explainStopped(plan.existing, plan.summary)].join(' '),
      plannedChanges: listPlannedChanges(desired, {
        applied: plan.applied,
        planned: {
          created: [...changes.create, ...changes.replace],
          resized: changes.resize.map(({ node }) => node),
          fresh: changes.fresh,
        },
      }),
    });
  const halted = explainUnstartable(plan.existing);
  if (halted.length > 0) return unseen({ refusals: halted });
  const there = standing.filter(
    ({ name }) => !changes.replace.includes(name) && !stopped.includes(name),
  );
  if (there.length === 0) {
    const refusals = explainOrphanedVolumes(plan.summary);
    if (refusals.length > 0) return unseen({ refusals });
    if (stopped.length > 0) return unseen(rollout([], desired));
    // Of a blank volume all is known; what lies on one that was there before must be seen.
    const isBlank = desired.nodes.every(({ name }) => changes.fresh.includes(name));
    return isBlank
      ? unseen(rollout([], desired))
      : notObserved('the instances are made anew, and their volumes can be looked at then.');
  }
  const access = buildNodeAccess(job);
  if (access === null) return notObserved('this job has no ssh-private-key to log in with.');
  const nodes = new Nodes(access);
  try {
    const sighting = await logGroup('Look at the nodes', () =>
      nodes.observe(there, { desired, waitSeconds: OBSERVE_SECONDS }),
    );
    const { observed, away } = requireObservation(sighting, desired, {
      asked: there,
      states: buildInstanceStates(plan.existing),
      vantage: findVantage(access),
    });
    const refusals = observed.some(isRunningPrimary) ? [] : explainOrphanedVolumes(plan.summary);
    if (refusals.length > 0) return { database: { refusals }, slotLoss: null, observed, desired };
    const down = [...away, ...stopped];
    if (down.length > 0 && changes.replace.length > 0) {
      return unseen({
        refusals: [
          `${changes.replace.join(', ')} would get another instance while ${down.join(', ')} ${down.length === 1 ? 'is' : 'are'} down, and only one node may be down at a time. Bring ${down.join(', ')} back first.`,
        ],
      });
    }
    const around = { ...desired, unreachable: away };
    const database = rollout(observed, { ...around, allowsSlotLoss: true });
    const { steps } = 'steps' in database ? database : { steps: [] };
    const slotLoss = explainSlotLoss(observed, { steps, desired: around });
    return { database, slotLoss, observed, desired: around };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return notObserved(error.message);
  } finally {
    await nodes.close();
  }
}

/** What a report says of the database, before and after. */
export function buildDatabasePlan(
  job: Job,
  { plan, preview }: { plan: PlanResult; preview: Preview },
): Pick<
  PlanReport,
  'database' | 'settings' | 'topology' | 'writesWait' | 'planText' | 'logicalSlots'
> & {
  readonly warnings: readonly string[];
} {
  const { database, observed, desired } = preview;
  const { synchronousReplicas, replicaCount: replicas } = job.inputs.spec;
  const changes = buildNodeChanges(plan.summary);
  const steps = 'steps' in database ? database.steps : [];
  const replication = { synchronousReplicas, replicas };
  const leftOut = listLeftOut('steps' in database ? database.deferral : null, {
    nodes: plan.existing.nodes,
    states: buildInstanceStates(plan.existing),
  });
  const warnings = [
    ...leftOut,
    ...describeFaults(observed, desired),
    warnSynchronous(replication, steps),
    describeExceptions(observed, desired),
    warnCollations(observed, {
      image: desired.image,
      label: job.inputs.allowCollationLabel,
    }),
  ];
  return {
    database,
    settings: buildSettingsReport(plan, preview),
    topology: buildTopologyChange({
      observed,
      existing: plan.existing.nodes,
      zones: readPlannedZones(plan.summary),
      replaced: changes.replace,
      resized: changes.resize.map(({ node }) => node),
      fresh: changes.fresh,
      database,
      desired,
    }),
    writesWait: findWait(replication, steps),
    planText: plan.text,
    // Before stopped nodes run, nobody knows where the primary goes.
    logicalSlots: desired.stopped?.length ? [] : findSlotFates(observed, steps),
    warnings: warnings.filter((text) => text !== null),
  };
}

/** EC2's word for the state of each node's instance, by the node's name. */
export function buildInstanceStates({ nodes, notRunning }: ExistingNodes): Record<string, string> {
  return {
    ...Object.fromEntries(nodes.map(({ name }) => [name, 'running'])),
    ...Object.fromEntries(notRunning.map(({ node, state }) => [node.name, state])),
  };
}

function buildSettingsReport(
  { applied, existing }: PlanResult,
  { observed, desired }: Preview,
): SettingsReport {
  const primary = observed.find(isRunningPrimary);
  if (primary) {
    return {
      changes: compareWithLive(primary, desired),
      source: 'live',
      node: primary.name,
    };
  }
  if (applied === null || existing.nodes.length === 0) {
    return { changes: [], source: 'none', node: null };
  }
  return { changes: compareWithApplied(applied, desired), source: 'applied', node: null };
}

/** What it takes to log in; null without a key. */
export function buildNodeAccess(job: Job): NodeAccess | null {
  const { workspace, keys, inputs, actionRoot } = job;
  if (!keys || inputs.secrets.sshPrivateKey === '') return null;
  return {
    inputs,
    keys,
    directory: workspace.directory,
    temporary: workspace.temporary,
    lasting: workspace.lasting,
    playbooks: join(actionRoot, 'playbooks'),
    log: core.info,
  };
}
