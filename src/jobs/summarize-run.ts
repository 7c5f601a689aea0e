import type { EndedRun, NodeWork } from '../cluster/progress.ts';
import type { NodeProof } from '../cluster/proof.ts';
import type { Step } from '../cluster/rollout/step.ts';
import type { ConfigureListeners, ConfigureResult, NodeNote } from '../operations/configure.ts';
import {
  renderConnectionString,
  renderPublicConnectionString,
} from '../operations/connection-string.ts';
import { ContinuingError } from '../operations/continuing-error.ts';
import { type BackupReport, summarizeBackups } from '../report/backups.ts';
import type { DeployState } from '../report/deploy-report.ts';
import { renderDeploySummary } from '../report/summary.ts';
import type { Announcement } from './announcement.ts';
import { describeError } from './describe-error.ts';
import type { Job } from './job.ts';
import { beginReport } from './run-report.ts';

/** What a run has done so far. */
interface RunProgress {
  steps: readonly Step[];
  proof: readonly NodeProof[];
  notes: readonly NodeNote[];
  warnings: readonly string[];
  work: readonly NodeWork[];
  /** Absent before the nodes are looked at. */
  backups?: BackupReport;
}

/**
 * Runs `work` and writes the job summary of its end: for jobs that no pull request's comment reports. `work` passes
 * `listeners` to `configureNodes`.
 *
 * @param options.nextStep what to do after a failure, as a sentence
 * @param options.run what ends when its time is over; a repair by default
 */
export async function summarizeRun(
  job: Job,
  options: {
    announcement: Announcement;
    commit: string;
    nextStep: (progress: RunProgress) => string;
    run?: EndedRun;
  },
  work: (progress: RunProgress, listeners: ConfigureListeners) => Promise<ConfigureResult>,
): Promise<void> {
  const { announcement, commit, nextStep, run = 'repair' } = options;
  const progress: RunProgress = { steps: [], proof: [], notes: [], warnings: [], work: [] };
  const summarize = (state: DeployState) =>
    announcement.summarize(
      { ...beginReport(job, { commit }), ...progress, progress: state },
      renderDeploySummary,
    );
  const listeners: ConfigureListeners = {
    onObserved: (observed) => {
      progress.backups = summarizeBackups(observed, job.inputs.spec);
    },
    onSteps: (steps) => {
      progress.steps = steps;
    },
    onProof: (proof) => {
      progress.proof = proof;
    },
    onWork: (work) => {
      progress.work = work;
    },
    onNotes: (notes) => {
      progress.notes = notes;
    },
  };
  try {
    const { nodes, changes } = await work(progress, listeners);
    await summarize({
      state: 'done',
      connectionString: renderConnectionString(nodes),
      publicConnectionString: renderPublicConnectionString(nodes),
      changes: changes.length,
    });
  } catch (error) {
    if (error instanceof ContinuingError) {
      progress.work = error.work;
      const { nodes } = error;
      const minutes = job.inputs.waitMinutes;
      await summarize({ state: 'continuing', run, nodes, minutes });
      throw new ContinuingError(error.work, run);
    }
    await summarize({
      state: 'failed',
      phase: 'configuring',
      ...describeError(error),
      nextStep: nextStep(progress),
    });
    throw error;
  }
}
