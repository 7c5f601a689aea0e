import * as core from '@actions/core';
import type { BackupSpec } from '../cluster/backup.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import {
  type Canary,
  describeRehearsal,
  findLastRehearsal,
  nameRehearsal,
  type RehearsalRecord,
  type Verification,
} from '../cluster/rehearsal.ts';
import { isRunningPrimary } from '../cluster/replication.ts';
import { planCanary, planRecord } from '../cluster/rollout/rehearse.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { CancelledError, readMessage, UserError } from '../messages/errors.ts';
import { toSeconds } from '../messages/times.ts';
import { ContinuingError } from '../operations/continuing-error.ts';
import type { RehearsalPhase, RehearsalReport } from '../report/rehearsal.ts';
import { renderRehearsalRemark } from '../report/rehearsal-remark.ts';
import { permit } from '../terraform/permit.ts';
import { configureNodes } from './configure-nodes.ts';
import { describeError } from './describe-error.ts';
import { endRehearsals } from './end-rehearsals.ts';
import type { Job } from './job.ts';
import { openTerraform, refuseForeignCluster } from './open-terraform.ts';
import { planCluster } from './plan-cluster.ts';
import { saveRemark } from './post-state.ts';
import { type RefreshedNodes, refreshNodes } from './refresh-nodes.ts';
import { findFailedPhase, findPhase, laterPhase } from './rehearsal-phase.ts';
import { openRehearsal, type RehearsalState, removeRehearsal } from './rehearsal-state.ts';
import { locateIssue, type RehearsalDesk, reportRehearsal } from './report-rehearsal.ts';
import { buildRunInfo } from './run-report.ts';
import { StagedApply } from './staged-apply.ts';
import { ensureDirectory } from './terraform-directory.ts';

const NEXT_STEP = 'Fix the cause and run the rehearsal again: it begins anew.';

/** The cluster whose restore is rehearsed, with what it wrote to be found again. */
interface Original {
  /** Asks AWS for the present addresses of its nodes. */
  readonly find: () => Promise<RefreshedNodes>;
  readonly observed: readonly NodeObservation[];
  readonly canary: Canary;
}

/**
 * Restores the newest backup of the cluster to a node of its own, verifies it, and removes the node, whatever happened before.
 * The cluster itself is only asked, and remembers a success. A failure is an open issue until a rehearsal succeeds.
 *
 * After a cancel there is no time to remove anything: the next rehearsal does it first, and `post` says so in the issue. Without
 * `backup` only that is done.
 *
 * @throws UserError with what failed on which node, or what could not be removed
 */
export async function rehearse(given: Job, desk: RehearsalDesk): Promise<void> {
  const { backup } = given.inputs.spec;
  if (backup === null) return endRehearsals(given, desk);
  const run = new Rehearsal(given, { ...desk, backup });
  try {
    await run.perform();
  } catch (error) {
    // What GitHub refuses must not hide why the rehearsal failed.
    await run.finish(run.describeFailure(error)).catch((cause: unknown) => {
      core.warning(`The rehearsal could not be reported: ${readMessage(cause)}`);
    });
    // Nothing goes on: the node is removed.
    throw error instanceof ContinuingError ? new UserError(explainTime(given)) : error;
  }
  await run.finish({ state: 'done' });
}

/** One rehearsal, which knows how far it is. */
class Rehearsal {
  readonly #given: Job;
  readonly #desk: RehearsalDesk;
  #phase: RehearsalPhase = 'preparing';
  /** Whether there may be a node that only a removal ends. */
  #isMade = false;
  #report: RehearsalReport;

  constructor(given: Job, { backup, ...desk }: RehearsalDesk & { readonly backup: BackupSpec }) {
    this.#given = given;
    this.#desk = desk;
    this.#report = {
      cluster: given.inputs.spec.name,
      backup,
      ...{ walAge: null, canary: null, verification: null, record: null, last: null },
      left: `${nameRehearsal(given.inputs.spec.name)} may be left by an earlier rehearsal: its state was not read, or could not be emptied.`,
      seconds: { making: null, removing: null },
      progress: { state: 'cancelled', phase: 'preparing' },
      run: buildRunInfo(given, desk.commit),
    };
  }

  async perform(): Promise<void> {
    // First: nothing else removes it, whatever keeps the cluster from being rehearsed now.
    const state = await this.#openState();
    const original = await this.#writeCanary();
    const job = describeOwn(state.job, { ...original, spec: this.#given.inputs.spec });
    try {
      const record = await this.#restore(job, original);
      this.#enter('recording');
      await this.#remember(original, record);
    } catch (error) {
      await this.#remove(state);
      throw error;
    }
    this.#enter('removing');
    await this.#remove(state);
    const { left } = this.#report;
    if (left !== null) throw new UserError(left);
  }

  /** Writes the last report. */
  async finish(progress: RehearsalReport['progress']): Promise<void> {
    const run = { ...this.#report.run, time: new Date() };
    this.#report = { ...this.#report, progress, run };
    await reportRehearsal(this.#report, { ...this.#desk, job: this.#given });
    // The issue says what is left. After a cancel there was no time for it.
    if (progress.state !== 'cancelled') saveRemark(null);
  }

  describeFailure(error: unknown): RehearsalReport['progress'] {
    const phase = findFailedPhase(error, this.#phase);
    if (error instanceof CancelledError) return { state: 'cancelled', phase };
    if (error instanceof ContinuingError) {
      return {
        ...{ state: 'failed', phase, isOutOfTime: true },
        error: explainTime(this.#given),
        nextStep: 'Give wait-minutes, and the timeout of the job, the time that a restore takes.',
      };
    }
    return { state: 'failed', phase, ...describeError(error), nextStep: NEXT_STEP };
  }

  #enter(phase: RehearsalPhase): void {
    this.#phase = phase;
    if (this.#isMade) this.#mark({ isMade: true });
  }

  /** Enters a phase of the node, unless it was passed. */
  #advance(to: RehearsalPhase): void {
    const phase = laterPhase(this.#phase, to);
    if (phase !== this.#phase) this.#enter(phase);
  }

  /** Has `post` say in the issue that the node is left, should this process end before it is removed. */
  #mark({ isMade }: { isMade: boolean }): void {
    this.#isMade = isMade;
    const { identity, redact } = this.#desk;
    const { title, body } = renderRehearsalRemark(this.#report, { phase: this.#phase });
    const issue = locateIssue({ identity, job: this.#given });
    saveRemark(isMade ? { ...issue, title: redact(title), body: redact(body) } : null);
  }

  /** Has the cluster write and archive what the restore must bring back. */
  async #writeCanary(): Promise<Original> {
    const job = this.#given;
    await ensureDirectory(job);
    const { terraform } = await openTerraform(job);
    await refuseForeignCluster(job, terraform);
    const find = () => refreshNodes(job, terraform);
    const found = await find();
    let observed: readonly NodeObservation[] = [];
    const { proof } = await configureNodes(job, {
      ...found,
      ...{ instanceType: null, memoryMib: null, infrastructure: null },
      canary: true,
      onObserved: (nodes) => {
        observed = nodes;
      },
      decide: (seen, { reachable }) => planCanary(seen.observed, reachable),
    });
    const canary = proof.find(({ role }) => role === 'primary')?.canary ?? null;
    if (canary === null) throw new Error('The proof of the primary has no canary.');
    const archivedAt = observed.find(isRunningPrimary)?.backup?.archivedAt ?? null;
    const now = toSeconds(new Date());
    this.#report = {
      ...this.#report,
      canary,
      walAge: archivedAt === null ? null : Math.max(0, now - archivedAt),
      last: findLastRehearsal(observed),
    };
    return { find, observed, canary };
  }

  /** Opens the rehearsal's state, and removes what an earlier one left. */
  async #openState(): Promise<RehearsalState> {
    const state = await openRehearsal(this.#given);
    if (state.isLeft) {
      core.warning('An earlier rehearsal left its node, which is removed first.');
      this.#mark({ isMade: true });
      await removeRehearsal(state);
      this.#mark({ isMade: false });
    }
    this.#report = { ...this.#report, left: null };
    return state;
  }

  /** Makes the node, restores and verifies it. */
  async #restore(job: Job, { canary }: Original): Promise<RehearsalRecord> {
    const { spec } = job.inputs;
    const began = performance.now();
    this.#enter('making');
    this.#mark({ isMade: true });
    const { plan, terraform, tool } = await planCluster(job, { lock: true });
    this.#report = { ...this.#report, run: { ...this.#report.run, tool } };
    const stages = new StagedApply(job, {
      terraform,
      permitted: permit(plan, { kind: 'plan', label: null, labels: null }),
      ...{ digest: plan.digest, outputs: plan.outputs },
      endpointId: plan.state?.endpointId ?? null,
      existing: plan.existing.nodes,
    });
    const nodes = await stages.provision();
    this.#measure('making', began);
    const { proof } = await configureNodes(job, {
      ...{ nodes, instanceType: spec.instanceType, memoryMib: plan.memoryMib },
      infrastructure: stages,
      endpointId: stages.endpointId,
      fresh: plan.nodeChanges.create,
      onWork: (work) => this.#advance(findPhase(work, this.#phase)),
      onObserved: (seen) => {
        if (seen.some(({ data }) => data === 'complete')) this.#advance('restoring');
      },
    });
    this.#advance('verifying');
    const verification = proof.find(({ role }) => role === 'primary')?.verification ?? null;
    if (verification === null)
      throw new Error('The proof of the restored node has no verification.');
    const record = buildRecord(verification, { canary, began });
    this.#report = { ...this.#report, verification, record };
    return record;
  }

  /** Has the nodes of the cluster remember the rehearsal. */
  async #remember({ find }: Original, record: RehearsalRecord): Promise<void> {
    await configureNodes(this.#given, {
      // Hours may have passed.
      ...(await find()),
      ...{ instanceType: null, memoryMib: null, infrastructure: null },
      // A deploy may be proving at this very time.
      proves: false,
      decide: ({ observed }) => planRecord(observed, record),
    });
  }

  /** Removes the node. What cannot be removed is in the report. */
  async #remove(state: RehearsalState): Promise<void> {
    const began = performance.now();
    try {
      await removeRehearsal(state);
      this.#mark({ isMade: false });
      this.#measure('removing', began);
    } catch (error) {
      const { name } = state.job.inputs.spec;
      // A cancelled run starts no program any more.
      const left =
        error instanceof CancelledError
          ? `${name} was not removed, because the run was cancelled.`
          : `${name} could not be removed: ${readMessage(error)}`;
      this.#report = { ...this.#report, left };
    }
  }

  #measure(what: keyof RehearsalReport['seconds'], began: number): void {
    const seconds = Math.round((performance.now() - began) / 1000);
    this.#report = { ...this.#report, seconds: { ...this.#report.seconds, [what]: seconds } };
  }
}

/** Returns the job with what is to be restored. `own`: the job of the rehearsal; `original`: the cluster. */
function describeOwn(own: Job, original: Original & { readonly spec: ClusterSpec }): Job {
  const { canary, observed, spec } = original;
  const running = observed.find(isRunningPrimary)?.record?.digest ?? null;
  return { ...own, inputs: { ...own.inputs, spec: describeRehearsal(spec, { canary, running }) } };
}

function explainTime({ inputs }: Job): string {
  return `The rehearsal was not done ${inputs.waitMinutes} minutes after the start of the run (wait-minutes), so it was ended.`;
}

function buildRecord(
  { bytes, verifySeconds, lastCommit }: Verification,
  { canary, began }: { canary: Canary; began: number },
): RehearsalRecord {
  const restoredTo = toSeconds(new Date(canary.written));
  return {
    ended: toSeconds(new Date()),
    restoredTo,
    seconds: Math.max(0, Math.round((performance.now() - began) / 1000) - verifySeconds),
    bytes,
    // Its own commit is the canary's, a little before that moment.
    commitAge: lastCommit === null ? null : Math.max(0, restoredTo - lastCommit),
  };
}
