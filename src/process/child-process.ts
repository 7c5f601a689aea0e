import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CancelledError, UserError } from '../messages/errors.ts';
import { type Interrupt, interruptOnCancel, isCancelled } from './cancellation.ts';
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
  /** How a cancel interrupts the child, by default `once`; see `Interrupt`. */
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
  if (isCancelled()) throw new CancelledError(what);

  const files = options.outlives && openOutput(options.outlives.temporary);
  const child = spawn(command, args, {
    cwd: options.cwd ?? '/',
    env: options.env,
    stdio: ['ignore', files?.stdout ?? 'pipe', files?.stderr ?? 'pipe'],
    // In its own process group, so that the signal also reaches ansible-playbook's workers and ssh.
    detached: true,
  });
  let running = true;
  const end = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  }).finally(() => {
    running = false;
  });
  interruptOnCancel(child, { how: options.interrupt ?? 'once', end });
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
    if (isCancelled()) throw new CancelledError(what);
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
    if (!running) announce?.(null);
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
