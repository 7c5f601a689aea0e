import { Nodes } from '../ansible/nodes.ts';
import { warnCollations } from '../cluster/collation.ts';
import { buildDesired, type DesiredCluster } from '../cluster/desired.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import { isRunningPrimary } from '../cluster/replication.ts';
import { findSlotFates } from '../cluster/rollout/logical-slots.ts';
import { listPlannedChanges, type UnobservedPlan } from '../cluster/rollout/planned-changes.ts';
import { type Rollout, rollout } from '../cluster/rollout/rollout.ts';
import { buildTopologyChange } from '../cluster/rollout/topology.ts';
import { compareWithApplied, compareWithLive } from '../cluster/settings/change.ts';
import { UserError } from '../messages/errors.ts';
import type { Look } from '../operations/look.ts';
import type { PlanResult } from '../operations/plan.ts';
import { findVantage, requireObservation, UnreachableError } from '../operations/reachability.ts';
import { summarizeBackups } from '../report/backups.ts';
import { describeExceptions, describeFaults } from '../report/faults.ts';
import { findIgnoredRestore } from '../report/ignored-restore.ts';
import { listLeftOut } from '../report/left-out.ts';
import { describeOpenings } from '../report/openings.ts';
import type { PlanReport } from '../report/plan-comment.ts';
import { describeRunningWork } from '../report/running-work.ts';
import type { SettingsReport } from '../report/settings.ts';
import { findWait, warnSynchronous } from '../report/steps.ts';
import { logGroup } from '../runner/log-group.ts';
import {
  buildInstanceStates,
  explainStopped,
  explainUnstartable,
  findStopped,
} from '../terraform/existing-nodes.ts';
import { explainOrphanedVolumes, readPlannedZones } from '../terraform/node-changes.ts';
import type { Job } from './job.ts';
import { buildNodeAccess } from './node-access.ts';

/** How long a node may take to answer, in seconds. */
const OBSERVE_SECONDS = 20;

/** What a plan does to the database. */
export interface Preview {
  /** The rollout that belongs to the plan, if the loss of logical slots and backups is allowed; or why it is unknown. */
  readonly database: Rollout | UnobservedPlan;
  /** Why the rollout is refused unless logical slots may be lost; null if no slot is lost. */
  readonly slotLoss: string | null;
  /** Why the rollout is refused unless backups may be deleted or end; null if none is lost. */
  readonly backupLoss: string | null;
  /** The observed nodes; empty if they could not be observed. */
  readonly observed: readonly NodeObservation[];
  readonly desired: DesiredCluster;
  /** The clock of what the report says about the nodes. */
  readonly now: Date;
  /** The look at the nodes; null if none was possible. */
  readonly look: Look | null;
}

/** Predicts the rollout of a plan: observes the existing nodes and assumes the planned ones. Changes nothing. */
export async function previewRollout(job: Job, plan: PlanResult): Promise<Preview> {
  const { spec } = job.inputs;
  const existing = plan.existing.nodes;
  const stopped = findStopped(plan.existing, plan.summary).map(({ name }) => name);
  const desired: DesiredCluster = {
    ...buildDesired(spec, {
      existing,
      instanceType: spec.instanceType,
      memoryMib: plan.memoryMib,
    }),
    stopped,
  };
  const withoutObservation = (database: Preview['database']): Preview => ({
    database,
    slotLoss: null,
    backupLoss: null,
    observed: [],
    desired,
    now: new Date(),
    look: null,
  });
  const changes = plan.nodeChanges;
  const notObserved = (reason: string, transcripts: readonly string[] = []) =>
    withoutObservation({
      kind: 'unobserved',
      notObserved: [reason, ...explainStopped(plan.existing, plan.summary)].join(' '),
      transcripts,
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
  if (halted.length > 0) return withoutObservation({ kind: 'refused', refusals: halted });
  const running = existing.filter(
    ({ name }) => !changes.replace.includes(name) && !stopped.includes(name),
  );
  if (running.length === 0) {
    const refusals = explainOrphanedVolumes(plan.summary);
    if (refusals.length > 0) return withoutObservation({ kind: 'refused', refusals });
    if (stopped.length > 0) return withoutObservation(rollout([], desired));
    // A blank volume needs no look; the data on an existing one does.
    const isBlank = desired.nodes.every(({ name }) => changes.fresh.includes(name));
    return isBlank
      ? withoutObservation(rollout([], desired))
      : notObserved('the instances are replaced first; their volumes can be looked at then.');
  }
  const access = buildNodeAccess(job, plan.state?.endpointId ?? null);
  if (access === null) return notObserved('this job has no ssh-private-key to log in with.');
  const nodes = new Nodes(access);
  try {
    const observation = await logGroup('Look at the nodes', () =>
      nodes.observe(running, { desired, waitSeconds: OBSERVE_SECONDS }),
    );
    const look = { asked: running, seen: observation, ended: performance.now() };
    const { observed, away } = requireObservation(observation, desired, {
      asked: running,
      states: buildInstanceStates(plan.existing),
      vantage: findVantage(access),
    });
    const refusals = observed.some(isRunningPrimary) ? [] : explainOrphanedVolumes(plan.summary);
    if (refusals.length > 0)
      return { ...withoutObservation({ kind: 'refused', refusals }), observed, look };
    const down = [...away, ...stopped];
    if (down.length > 0 && changes.replace.length > 0) {
      return withoutObservation({
        kind: 'refused',
        refusals: [
          `${changes.replace.join(', ')} would get another instance while ${down.join(', ')} ${down.length === 1 ? 'is' : 'are'} down, and only one node may be down at a time. Bring ${down.join(', ')} back first.`,
        ],
      });
    }
    const reachable = { ...desired, unreachable: away };
    const allowed = { ...reachable, allowsSlotLoss: true, allowsBackupLoss: true };
    const database = rollout(observed, allowed);
    return {
      ...withoutObservation(database),
      ...(database.kind === 'steps' ? database.losses : {}),
      ...{ observed, desired: reachable, look },
    };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error instanceof UnreachableError
      ? notObserved(error.problems.join(' '), error.transcripts)
      : notObserved(error.message);
  } finally {
    await nodes.close();
  }
}

/** Builds the part of a plan report about the database, before and after. */
export function buildDatabasePlan(
  job: Job,
  { plan, preview }: { plan: PlanResult; preview: Preview },
): Pick<
  PlanReport,
  | 'database'
  | 'settings'
  | 'topology'
  | 'writesWait'
  | 'planText'
  | 'logicalSlots'
  | 'slotLoss'
  | 'backupLoss'
  | 'backups'
  | 'capacity'
  | 'ignoredRestore'
> & {
  readonly warnings: readonly string[];
} {
  const { database, observed, desired } = preview;
  const { synchronousReplicas, replicaCount: replicas } = job.inputs.spec;
  const { storageAlertPercent } = job.inputs;
  const changes = plan.nodeChanges;
  const steps = database.kind === 'steps' ? database.steps : [];
  const replication = { synchronousReplicas, replicas };
  const leftOut = listLeftOut(database.kind === 'steps' ? database.deferral : null, {
    nodes: plan.existing.nodes,
    states: buildInstanceStates(plan.existing),
  });
  const warnings = [
    ...leftOut,
    ...describeOpenings(plan.summary),
    ...describeFaults(observed, { ...desired, storageAlertPercent }, preview.now),
    ...describeRunningWork(observed, desired),
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
    capacity: { nodes: observed, alertPercent: storageAlertPercent },
    ...describeRestore(job, { existing: plan.existing.nodes, preview }),
    writesWait: findWait(replication, steps),
    planText: plan.text,
    slotLoss: preview.slotLoss,
    backupLoss: preview.backupLoss,
    backups: summarizeBackups(observed, { ...desired, snapshots: job.inputs.spec.snapshots }),
    // Until stopped nodes run, the future primary is unknown.
    logicalSlots: desired.stopped?.length ? [] : findSlotFates(observed, steps),
    warnings: warnings.filter((text) => text !== null),
  };
}

/** Says that a restore which was just asked for does not happen. A cluster that was restored may keep it in its file. */
function describeRestore(
  { inputs }: Job,
  { existing, preview }: { existing: readonly unknown[]; preview: Preview },
): Pick<PlanReport, 'ignoredRestore'> {
  if (!inputs.isRestoreNew || existing.length === 0) return {};
  const ignored =
    preview.observed.length === 0 ? { holders: [] } : findIgnoredRestore(preview.observed);
  return ignored === null ? {} : { ignoredRestore: ignored };
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
