import { join } from 'node:path';
import type { Directories } from './context.ts';
import { buildVariables } from './context.ts';
import { runEntry } from './entry-process.ts';
import type { Status } from './expression.ts';
import type { GivenInputs } from './input.ts';
import { buildInputVariables } from './input.ts';
import type { Annotation, JobLog } from './job-log.ts';
import type { Legacy, StepFiles } from './step-file.ts';
import { makeStepFiles, takeStepFiles } from './step-file.ts';

/** How one of the action's scripts ended. */
export interface Phase {
  readonly conclusion: Status;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly durationMs: number;
}

/** A job in progress: the shared data of its steps. */
export interface Job {
  readonly directories: Directories;
  readonly log: JobLog;
  /** The variables of every process unless a step exports another value. */
  readonly base: Record<string, string>;
  /** The variables that no step can change: GITHUB_*, RUNNER_* and similar ones. */
  readonly fixed: Record<string, string>;
  readonly inputs: GivenInputs;
  readonly legacy: Legacy;
  readonly state: Map<string, string>;
  /** The sessions of all step processes. */
  readonly sessions: number[];
  readonly raw: Buffer[];
  readonly annotations: Annotation[];
}

/** One script of the action. */
export interface Step {
  readonly script: string;
  /** Runs at the start of the step, inside its record. */
  readonly printHeader: (log: JobLog) => void;
  readonly signal: AbortSignal | undefined;
}

/** The folder below RUNNER_TEMP that holds the steps' files. */
export const stepFileFolder = '_runner_file_commands';

/** Runs a script of the action and reads what it leaves. */
export async function runStep(
  job: Job,
  step: Step,
): Promise<{ phase: Phase; outputs: Map<string, string> }> {
  const { log } = job;
  const record = log.beginStep();
  step.printHeader(log);
  const files = makeStepFiles(join(job.directories.temp, stepFileFolder));
  const ending = await runEntry({
    script: step.script,
    directory: job.directories.workspace,
    environment: makeEnvironment(job, files),
    signal: step.signal,
    onLine: (line) => log.take(line),
    onBytes: (bytes) => job.raw.push(bytes),
  });
  job.sessions.push(ending.session);
  if (ending.cancelled) log.annotate('error', 'The operation was canceled.');
  takeStepFiles({ files, log, record, legacy: job.legacy });
  for (const [name, value] of record.state) job.state.set(name, value);
  job.annotations.push(...record.annotations);
  const { exitCode, signal, durationMs } = ending;
  // A cancelled script stays cancelled, even if it succeeds.
  const failed = exitCode !== 0 || record.failed;
  const conclusion = ending.cancelled ? 'cancelled' : failed ? 'failure' : 'success';
  return { phase: { conclusion, exitCode, signal, durationMs }, outputs: record.outputs };
}

function makeEnvironment(job: Job, files: StepFiles): Record<string, string> {
  const exported = { ...job.base, ...Object.fromEntries(job.legacy.env) };
  return {
    ...exported,
    PATH: [...job.legacy.path, exported.PATH].join(':'),
    ...Object.fromEntries([...job.state].map(([name, value]) => [`STATE_${name}`, value])),
    ...buildInputVariables(job.inputs),
    ...job.fixed,
    ...buildVariables('GITHUB', files),
  };
}
