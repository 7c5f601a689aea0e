import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CancelledError, UserError } from './errors.ts';

/** How to run a child. */
export interface ProcessOptions {
  readonly cwd?: string;
  /** Added to the action's own environment. Secrets travel here or in files, never in arguments. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to the child's standard input. */
  readonly input?: string;
  /** Called for each line of standard output as it arrives. */
  readonly onLine?: (line: string) => void;
  /** Exit codes that are an answer, not a failure; default `[0]`. */
  readonly accept?: readonly number[];
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

const interrupts = new Set<() => void>();
let cancelled = false;

/**
 * From now on a cancelled job reaches the children. GitHub's runner signals the entry process alone
 * (SIGINT, SIGTERM 7.5 s later, then a kill), so a child started with `@actions/exec`, which gives no
 * pid, would live on, holding Terraform's state lock or half a clone.
 *
 * Children are interrupted once: a second signal would make Terraform drop what it is doing without
 * writing its state.
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

/** Whether the job was cancelled. */
export function isCancelled(): boolean {
  return cancelled;
}

/**
 * Runs `command` with `args`, no shell in between, and waits for its end.
 *
 * @throws UserError when the program is not installed
 * @throws CancelledError when the job was cancelled before or meanwhile
 * @throws ProcessError when the exit code is not an accepted one
 */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const what = [command.split('/').at(-1), args[0]].filter(Boolean).join(' ');
  if (cancelled) throw new CancelledError(what);

  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: ansible-playbook's workers and ssh must hear the signal as well.
    detached: true,
  });
  const interrupt = () => {
    if (child.pid !== undefined && child.exitCode === null) interruptGroup(child.pid);
  };
  interrupts.add(interrupt);
  try {
    // A child that does not read its input closes the pipe; its exit code says what is wrong.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    const [stdout, stderr, exitCode] = await Promise.all([
      collectOutput(child.stdout, options.onLine),
      collectOutput(child.stderr),
      new Promise<number>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code) => resolve(code ?? 1));
      }),
    ]);
    const result = { exitCode, stdout, stderr };
    if (cancelled) throw new CancelledError(what);
    if (!(options.accept ?? [0]).includes(exitCode)) throw new ProcessError(what, result);
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
  }
}

function interruptGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGINT');
  } catch (error) {
    // ESRCH: it ended in the meantime, which is what the signal was for.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function collectOutput(stream: Readable, onLine?: (line: string) => void): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({
    input: stream,
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    lines.push(line);
    onLine?.(line);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
