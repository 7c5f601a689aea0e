import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CancelledError, UserError } from '../messages/errors.ts';
import { followErrors, followOutput, identify, openOutput, type Survivor } from './survivor.ts';

/** How to run a child. */
export interface ProcessOptions {
  /** By default `/`. This process starts in the checkout, where programs would read configuration files. */
  readonly cwd?: string;
  /**
   * The whole environment of the child (`chooseEnvironment`); it inherits nothing. Secrets are passed here or in files,
   * never in arguments.
   */
  readonly env: Readonly<Record<string, string>>;
  /** Called for each line of standard output as it arrives. */
  readonly onLine?: (line: string) => void;
  /** Lets the child finish even if this process is killed. */
  readonly outlives?: SurvivorOptions;
  /** How a cancel interrupts the child, by default `once`; see `interruptGroup`. */
  readonly interrupt?: Interrupt;
}

/**
 * Lets a child outlive its parent. Its output goes to files, because a write into a pipe without a reader would kill
 * the child.
 */
export interface SurvivorOptions {
  /** A folder that only this user may enter. The output gets a subfolder. */
  readonly temporary: string;
  /** Called with the child after its start, and with null after its end. */
  readonly announce: (child: Survivor | null) => void;
}

/** The result of a child that has ended. */
export interface ProcessResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child ended with an exit code other than 0. */
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

/** Whether a child is interrupted once and waited for, or repeatedly and finally killed. */
export type Interrupt = 'once' | 'insistently';

/** Signals with their time in ms after the cancel. GitHub kills the action after 10 s. */
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
 * Forwards the cancellation of the job to the children. GitHub's runner signals only the entry process (SIGINT, SIGTERM
 * after 7.5 s, then SIGKILL). `@actions/exec` does not expose the pid, so its children would keep running, with
 * Terraform's state lock or an unfinished clone.
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
 * Runs `command` with `args`, without a shell, and waits for its end.
 *
 * @throws UserError if the program is not installed
 * @throws CancelledError if the job was cancelled before or during the run
 * @throws ProcessError if the exit code is not 0
 */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions,
): Promise<ProcessResult> {
  // Without paths, e.g. `ansible-playbook site.yml`.
  const what = [command, ...args.slice(0, 1)].map((word) => basename(word)).join(' ');
  if (cancelled) throw new CancelledError(what);

  const files = options.outlives && openOutput(options.outlives.temporary);
  const child = spawn(command, args, {
    cwd: options.cwd ?? '/',
    env: options.env,
    stdio: ['ignore', files?.stdout ?? 'pipe', files?.stderr ?? 'pipe'],
    // In its own process group, so that the signal also reaches ansible-playbook's workers and ssh.
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
      const survivor = child.pid === undefined ? null : identify(child.pid, what, files.folder);
      if (survivor !== null) announce?.(survivor);
    }
    const isRunning = () => running;
    const [stdout, stderr, exitCode] = await Promise.all([
      collectLines(
        files ? followOutput(files.folder, isRunning) : readLines(child.stdout),
        options.onLine,
      ),
      collectLines(files ? followErrors(files.folder, isRunning) : readLines(child.stderr)),
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
 * Interrupts a child that leads a process group, and its group, until its output has ended.
 *
 * `once` is for Terraform: at a second signal it stops without writing its state. `insistently` is for Ansible, which
 * sometimes ignores the first signal: Python drops a KeyboardInterrupt that is raised in a hook of fork (seen with Python
 * 3.11: "Exception ignored in: <function _releaseLock>"). A child that is killed at the end is treated as crashed.
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
    // ESRCH: it has already ended.
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
