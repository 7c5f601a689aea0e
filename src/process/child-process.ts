import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledError, UserError } from '../messages/errors.ts';

/** How to run a child. */
export interface ProcessOptions {
  /** The root of the file system by default: this process starts in the checkout, where programs would read configuration. */
  readonly cwd?: string;
  /**
   * The child's whole environment (`chooseEnvironment`): nothing of the action's own is inherited. Secrets travel here or
   * in files, never in arguments.
   */
  readonly env: Readonly<Record<string, string>>;
  /** Called for each line of standard output as it arrives. */
  readonly onLine?: (line: string) => void;
  /** Lets the child finish although this process is killed; see `Outliving`. */
  readonly outlives?: SurvivorOptions;
  /** What a cancel does to the child; `once` by default. See `interruptGroup`. */
  readonly interrupt?: Interrupt;
}

/**
 * How a child lives on when its parent is killed: its output goes to files, since writing into a pipe
 * that nobody reads any more would kill it as well.
 */
export interface SurvivorOptions {
  /** A folder only this user may enter; the output gets one of its own in it. */
  readonly temporary: string;
  /** Called with the child when it has started, and with null when it has ended. */
  readonly announce: (child: Survivor | null) => void;
}

/** A child as another process finds it again; its fields survive JSON. */
export interface Survivor {
  readonly pid: number;
  /** Clock ticks from the machine's start to the child's: a pid may have been given anew. */
  readonly startTime: string;
  /** Program and first argument. */
  readonly what: string;
  /** The folder its output lies in. */
  readonly output: string;
}

/** What a child left behind. */
export interface ProcessResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child that ended with an exit code nobody expected. */
export class ProcessError extends Error {
  readonly command: string;
  readonly result: ProcessResult;

  constructor(command: string, result: ProcessResult) {
    super(`${command} exited with ${result.exitCode}\n${result.stderr.trim()}`.trim());
    this.name = 'ProcessError';
    this.command = command;
    this.result = result;
  }
}

/** Whether a child is interrupted once and waited for, or again and at last killed. */
export type Interrupt = 'once' | 'insistently';

/** Which signal when, in ms after the cancel: over well before the 10 s after which GitHub kills the action. */
const SIGNALS: Readonly<Record<Interrupt, readonly (readonly [number, NodeJS.Signals])[]>> = {
  once: [[0, 'SIGINT']],
  insistently: [
    [0, 'SIGINT'],
    [2000, 'SIGINT'],
    [5000, 'SIGKILL'],
  ],
};

const interrupts = new Set<() => void>();
let cancelled = false;

/**
 * From now on a cancelled job reaches the children. GitHub's runner signals the entry process alone
 * (SIGINT, SIGTERM 7.5 s later, then a kill), so a child started with `@actions/exec`, which gives no
 * pid, would live on, holding Terraform's state lock or half a clone.
 */
export function forwardSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (cancelled) return;
      cancelled = true;
      for (const interrupt of interrupts) interrupt();
    });
  }
}

/**
 * Runs `command` with `args`, no shell in between, and waits for its end.
 *
 * @throws UserError when the program is not installed
 * @throws CancelledError when the job was cancelled before or meanwhile
 * @throws ProcessError when the exit code is not 0
 */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions,
): Promise<ProcessResult> {
  // A path says more than people want to know, e.g. `ansible-playbook site.yml`.
  const what = [command, ...args.slice(0, 1)].map((word) => basename(word)).join(' ');
  if (cancelled) throw new CancelledError(what);

  const files = options.outlives && openFiles(options.outlives.temporary);
  const child = spawn(command, args, {
    cwd: options.cwd ?? '/',
    env: options.env,
    stdio: ['ignore', files?.stdout ?? 'pipe', files?.stderr ?? 'pipe'],
    // A group of its own: ansible-playbook's workers and ssh must hear the signal as well.
    detached: true,
  });
  const interrupt = () => interruptGroup(child, options.interrupt);
  interrupts.add(interrupt);
  let running = true;
  const end = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  }).finally(() => {
    running = false;
  });
  const announce = options.outlives?.announce;
  try {
    if (files) {
      closeSync(files.stdout);
      closeSync(files.stderr);
      const startTime = child.pid === undefined ? undefined : readStat(child.pid)?.startTime;
      if (child.pid !== undefined && startTime !== undefined) {
        announce?.({ pid: child.pid, startTime, what, output: files.folder });
      }
    }
    const isRunning = () => running;
    const [stdout, stderr, exitCode] = await Promise.all([
      collectLines(
        files ? followOutput(files.folder, isRunning) : readLines(child.stdout),
        options.onLine,
      ),
      collectLines(
        files ? followFile(join(files.folder, STDERR), { isRunning }) : readLines(child.stderr),
      ),
      end,
    ]);
    const result = { exitCode, stdout, stderr };
    if (cancelled) throw new CancelledError(what);
    if (exitCode !== 0) throw new ProcessError(what, result);
    return result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new UserError(
        `${command}: not found on PATH. Install it on the runner before this step.`,
        {
          cause: error,
        },
      );
    }
    throw error;
  } finally {
    interrupts.delete(interrupt);
    if (!running) announce?.(null);
  }
}

/**
 * Waits in another process for the end of a child that outlived its parent, `timeout` ms at most. `onLine`
 * gets what the parent did not pass on: the rest of standard output as it comes, then standard error.
 * Gives whether the child has ended.
 */
export async function awaitSurvivor(
  survivor: Survivor,
  options: { timeout: number; onLine: (line: string) => void },
): Promise<boolean> {
  const deadline = Date.now() + options.timeout;
  const isRunning = () => isAlive(survivor) && Date.now() < deadline;
  for await (const line of followOutput(survivor.output, isRunning)) options.onLine(line);
  const errors = followFile(join(survivor.output, STDERR), { isRunning: () => false });
  for await (const line of errors) options.onLine(line);
  return !isAlive(survivor);
}

/**
 * Interrupts a child that leads a process group, and its group, until its output has ended.
 *
 * `once` is for Terraform, which at a second signal drops what it is doing without writing its state.
 * `insistently` is for Ansible, which now and then goes on as if nothing had been: Python raises
 * KeyboardInterrupt wherever it stands, and what is raised in a hook of fork is dropped (seen with
 * Python 3.11: "Exception ignored in: <function _releaseLock>"). What is killed then is as if it had crashed.
 */
export function interruptGroup(child: ChildProcess, how: Interrupt = 'once'): void {
  const { pid } = child;
  if (pid === undefined) return;
  const timers = SIGNALS[how].map(([after, signal]) =>
    setTimeout(() => signalGroup(pid, signal), after),
  );
  child.once('close', () => {
    for (const timer of timers) clearTimeout(timer);
  });
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: it ended in the meantime, which is what the signal was for.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function collectLines(
  source: AsyncIterable<string>,
  onLine?: (line: string) => void,
): Promise<string> {
  const lines: string[] = [];
  for await (const line of source) {
    lines.push(line);
    onLine?.(line);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function readLines(stream: Readable | null): AsyncIterable<string> {
  if (stream === null) throw new Error('the child was started without a pipe');
  return createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
}

const STDOUT = 'stdout';
const STDERR = 'stderr';
/** Bytes of standard output that were passed on, as decimal text. */
const POSITION = 'position';
/** How often to look at a file, in ms. */
const POLL = 100;

function openFiles(temporary: string): { folder: string; stdout: number; stderr: number } {
  const folder = mkdtempSync(join(temporary, 'child-'));
  const openNew = (name: string) => openSync(join(folder, name), 'ax', 0o600);
  writeFileSync(join(folder, POSITION), '0', { mode: 0o600 });
  return { folder, stdout: openNew(STDOUT), stderr: openNew(STDERR) };
}

/** Standard output from where it was last passed on, noting how far it got. */
function followOutput(folder: string, isRunning: () => boolean): AsyncIterable<string> {
  const file = join(folder, POSITION);
  return followFile(join(folder, STDOUT), {
    isRunning,
    position: Number(readFileSync(file, 'utf8')),
    onPosition: (position) => writeFileSync(file, String(position)),
  });
}

/** The lines of a growing file from a position in bytes on, each once it is whole, until its writer has ended. */
async function* followFile(
  path: string,
  options: {
    isRunning: () => boolean;
    position?: number;
    onPosition?: (position: number) => void;
  },
): AsyncGenerator<string> {
  let { position = 0 } = options;
  const file = await open(path);
  try {
    for (;;) {
      // Asked before the look at the file: what was written last is then in it.
      const running = options.isRunning();
      const unread = (await file.stat()).size - position;
      if (unread > 0) {
        const { buffer } = await file.read({ buffer: Buffer.alloc(unread), position });
        // A line may be half written, a character as well.
        const end = running ? buffer.lastIndexOf('\n') + 1 : unread;
        if (end > 0) {
          yield* buffer
            .toString('utf8', 0, end)
            .replace(/\r?\n$/, '')
            .split(/\r?\n/);
          position += end;
          options.onPosition?.(position);
        }
      }
      if (!running) return;
      await sleep(POLL);
    }
  } finally {
    await file.close();
  }
}

/** Whether it still runs: a dead process that nobody has asked about keeps its pid for a while. */
function isAlive({ pid, startTime }: Survivor): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.startTime === startTime && !['Z', 'X'].includes(stat.state);
}

/** State and start time of a process, or null where there is none. Source: proc_pid_stat(5). */
function readStat(pid: number): { state: string; startTime: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, which may contain anything, is the second field; the third follows its last bracket.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: fields[22 - 3] ?? '' };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
