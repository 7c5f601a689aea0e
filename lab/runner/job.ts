import { randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { WorkflowEvent } from '../github/event.ts';
import type { Urls } from '../github/shape.ts';
import type { ContextParts, Directories } from './context.ts';
import {
  buildVariables,
  locateEventFile,
  makeGitHubContext,
  makeRunnerContext,
} from './context.ts';
import type { Status } from './expression.ts';
import { evaluateCondition } from './expression.ts';
import type { GivenInputs } from './input.ts';
import { listInputWarnings, resolveInputs } from './input.ts';
import type { Annotation } from './job-log.ts';
import { JobLog } from './job-log.ts';
import { Masker } from './mask.ts';
import type { ActionMetadata } from './metadata.ts';
import { loadActionMetadata } from './metadata.ts';
import type { Orphan } from './orphan.ts';
import { findOrphans } from './orphan.ts';
import type { Job, Phase } from './step.ts';
import { runStep, stepFileFolder } from './step.ts';
import { isShown } from './step-file.ts';

/** A job with one step: the action. */
export interface JobOptions {
  /** The directory of action.yml. */
  readonly actionDirectory: string;
  /**
   * The runner's work folder, which contains the workspace, `_temp` (emptied at the start) and `_tool`.
   * Concurrent jobs need separate ones.
   */
  readonly workDirectory: string;
  readonly event: WorkflowEvent;
  readonly urls: Urls;
  /** The value of `github.token`; always masked. */
  readonly token: string;
  /** The step's `with`. */
  readonly inputs?: GivenInputs;
  /** The job's secrets: masked from the start, not passed on. */
  readonly secrets?: readonly string[];
  /** The job's `env`. */
  readonly env?: Readonly<Record<string, string>>;
  /** The checkout; `<workDirectory>/<name>/<name>` by default. */
  readonly workspace?: string;
  /** `<workDirectory>/_tool` by default; jobs may share one. */
  readonly toolCache?: string;
  /** The caller's by default. */
  readonly path?: string;
  /** The caller's by default. */
  readonly home?: string;
  readonly runnerEnvironment?: 'github-hosted' | 'self-hosted';
  readonly runId?: number;
  readonly runAttempt?: number;
  readonly job?: string;
  readonly workflow?: string;
  /** Debug logging: RUNNER_DEBUG=1, and `::debug::` is shown. */
  readonly debug?: boolean;
  /** Cancels the job. */
  readonly signal?: AbortSignal;
  /** Called for every line of the log as it comes, masked. */
  readonly onLine?: (line: string) => void;
}

/** The results of a job. */
export interface JobResult {
  readonly conclusion: Status;
  readonly main: Phase | undefined;
  readonly post: Phase | undefined;
  /** The outputs of main, as in `steps.<id>.outputs`: not masked. */
  readonly outputs: Record<string, string>;
  /** The job summary as GitHub shows it: masked, without a step's part over 1 MiB. */
  readonly summary: string;
  /**
   * The files that a later step can read at paths in outputs, before the clean-up: `<output>` for a file,
   * `<output>/<name>` for each file of a directory.
   */
  readonly files: Record<string, string>;
  /** The summary as the action wrote it. */
  readonly rawSummary: string;
  readonly annotations: Annotation[];
  /** The log as people see it: masked. */
  readonly log: string;
  /** Both streams of both scripts, unmodified. */
  readonly raw: string;
  readonly state: Record<string, string>;
  /** Variables exported to later steps. */
  readonly env: Record<string, string>;
  /** Directories prepended to later steps' PATH, the first one first. */
  readonly path: string[];
  /** Processes that outlived the job and were then killed, as on GitHub. */
  readonly orphans: Orphan[];
  /** Files below RUNNER_TEMP that neither script removed, as relative paths. */
  readonly leftovers: string[];
  readonly directories: Directories;
}

/**
 * Runs an action as the only step of a job, like GitHub's runner: main, then post.
 * @param options the action, the event, the server and the step's inputs
 * @returns the results; a failing or cancelled action is a result, not an exception
 * @throws Error if this is not Node 24 or the action cannot be run at all
 * Source: the runner's ActionRunner, NodeScriptActionHandler, StepsRunner and FileCommandManager.
 */
export async function runJob(options: JobOptions): Promise<JobResult> {
  if (!process.version.startsWith('v24.')) {
    throw new Error(
      `Node ${process.version} runs this, but the action wants node24: put Node 24 first on PATH.`,
    );
  }
  const action = loadActionMetadata(options.actionDirectory);
  const trackingId = `github_${randomUUID()}`;
  const masker = new Masker();
  for (const secret of [options.token, ...(options.secrets ?? [])]) masker.add(secret.trim());
  const job = prepareJob({ options, action, masker, trackingId });
  const phases = await runPhases(job, options, action);
  const orphans = await findOrphans({ trackingId, sessions: job.sessions });
  for (const orphan of orphans) {
    job.log.write(`Terminate orphan process: pid (${orphan.pid}) (${orphan.command})`);
    killIfAlive(orphan.pid);
  }
  const { summaries } = job.legacy;
  return {
    ...phases,
    summary: maskLines(masker, summaries.filter(isShown).join('')),
    rawSummary: summaries.join(''),
    annotations: job.annotations,
    log: job.log.lines.map((line) => `${line}\n`).join(''),
    raw: Buffer.concat(job.raw).toString('utf8'),
    state: Object.fromEntries(job.state),
    env: Object.fromEntries(job.legacy.env),
    path: job.legacy.path,
    orphans,
    leftovers: listLeftovers(job.directories),
    directories: job.directories,
  };
}

async function runPhases(
  job: Job,
  options: JobOptions,
  action: ActionMetadata,
): Promise<Pick<JobResult, 'conclusion' | 'main' | 'post' | 'outputs' | 'files'>> {
  const { runs } = action;
  const { signal } = options;
  const isCancelled = (): boolean => signal?.aborted === true;
  // A step that never began has not registered a clean-up.
  if (isCancelled()) {
    return { conclusion: 'cancelled', main: undefined, post: undefined, outputs: {}, files: {} };
  }
  const main = await runStep(job, {
    script: resolve(options.actionDirectory, runs.main),
    printHeader: (log) => printHeader(log, options, { action, inputs: job.inputs }),
    signal,
  });
  const outputs = Object.fromEntries(main.outputs);
  const files = readFiles(outputs);
  const before = isCancelled() ? 'cancelled' : main.phase.conclusion;
  if (runs.post === undefined || !evaluateCondition(runs['post-if'], before)) {
    return { conclusion: before, main: main.phase, post: undefined, outputs, files };
  }
  const post = await runStep(job, {
    script: resolve(options.actionDirectory, runs.post),
    printHeader: (log) => log.write('Post job cleanup.'),
    // A cancel does not stop a clean-up whose condition still holds.
    signal: undefined,
  });
  const after = before === 'success' ? post.phase.conclusion : before;
  return {
    conclusion: isCancelled() ? 'cancelled' : after,
    main: main.phase,
    post: post.phase,
    outputs,
    files,
  };
}

function readFiles(outputs: Record<string, string>): Record<string, string> {
  const files = Object.entries(outputs).flatMap(([output, path]) => {
    if (!isAbsolute(path) || !existsSync(path)) return [];
    if (statSync(path).isFile()) return [[output, readFileSync(path, 'utf8')]];
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => [`${output}/${name}`, readFileSync(join(path, name), 'utf8')]);
  });
  return Object.fromEntries(files);
}

function prepareJob(parts: {
  options: JobOptions;
  action: ActionMetadata;
  masker: Masker;
  trackingId: string;
}): Job {
  const { options, masker } = parts;
  const directories = makeDirectories(options);
  const debug = options.debug ?? false;
  const context: ContextParts = {
    event: options.event,
    urls: options.urls,
    token: options.token,
    directories,
    runnerEnvironment: options.runnerEnvironment ?? 'github-hosted',
    runId: options.runId ?? Date.now(),
    runAttempt: options.runAttempt ?? 1,
    job: options.job ?? 'cluster',
    workflow: options.workflow ?? 'postgres',
    debug,
  };
  const contexts = { github: makeGitHubContext(context), runner: makeRunnerContext(context) };
  const payload = JSON.stringify(options.event.payload, null, 2);
  writeFileSync(locateEventFile(directories), payload);
  return {
    directories,
    log: new JobLog({
      masker,
      workspace: directories.workspace,
      debug,
      onLine: options.onLine,
    }),
    inputs: resolveInputs({ action: parts.action, given: options.inputs ?? {}, contexts }),
    // A person's shell must not make a test pass: only these variables reach the action.
    base: {
      PATH: options.path ?? process.env.PATH ?? '/usr/bin:/bin',
      HOME: options.home ?? process.env.HOME ?? '/root',
      LANG: 'C.UTF-8',
      CI: 'true',
      ...options.env,
    },
    fixed: {
      ...buildVariables('GITHUB', contexts.github),
      ...buildVariables('RUNNER', contexts.runner),
      RUNNER_TRACKING_ID: parts.trackingId,
      GITHUB_ACTIONS: 'true',
    },
    legacy: { env: new Map(), path: [], summaries: [] },
    state: new Map(),
    sessions: [],
    raw: [],
    annotations: [],
  };
}

/** The runner's own files below RUNNER_TEMP. */
function listRunnerFolders(directories: Directories): string[] {
  return [join(directories.temp, stepFileFolder), dirname(locateEventFile(directories))];
}

function makeDirectories(options: JobOptions): Directories {
  const work = resolve(options.workDirectory);
  const name = options.event.repository.split('/')[1] ?? 'repository';
  const directories = {
    workspace: resolve(options.workspace ?? join(work, name, name)),
    temp: join(work, '_temp'),
    toolCache: resolve(options.toolCache ?? join(work, '_tool')),
  };
  rmSync(directories.temp, { recursive: true, force: true });
  for (const directory of [...Object.values(directories), ...listRunnerFolders(directories)]) {
    mkdirSync(directory, { recursive: true });
  }
  return directories;
}

function printHeader(
  log: JobLog,
  options: JobOptions,
  step: { action: ActionMetadata; inputs: GivenInputs },
): void {
  const given = options.inputs ?? {};
  for (const warning of listInputWarnings(step.action, given)) log.annotate('warning', warning);
  const list = (title: string, entries: [string, string][]): void => {
    if (entries.length > 0) log.write(title);
    for (const [name, value] of entries) log.write(`  ${name}: ${value}`);
  };
  log.write('##[group]Run ./');
  list(
    'with:',
    Object.entries(step.inputs).filter(([, value]) => value !== ''),
  );
  list('env:', Object.entries(options.env ?? {}));
  log.write('##[endgroup]');
}

function maskLines(masker: Masker, text: string): string {
  return text
    .split('\n')
    .map((line) => masker.mask(line))
    .join('\n');
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function listLeftovers(directories: Directories): string[] {
  const { temp } = directories;
  const own = listRunnerFolders(directories);
  return readdirSync(temp, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !own.some((folder) => path.startsWith(`${folder}/`)))
    .map((path) => path.slice(temp.length + 1))
    .sort();
}
