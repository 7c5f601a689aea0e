import type { ChildProcess } from 'node:child_process';

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

const children = new Map<() => void, Promise<unknown>>();
const controller = new AbortController();

/**
 * Forwards the cancellation of the job to the children. GitHub's runner signals only the entry process (SIGINT, SIGTERM
 * after 7.5 s, then SIGKILL). `@actions/exec` does not expose the pid, so its children would keep running, with
 * Terraform's state lock or an unfinished clone.
 */
export function forwardSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interruptChildren);
}

/** Interrupts all children, as a cancel does, and waits for their end. New ones are refused from now on. */
export async function endChildren(): Promise<void> {
  interruptChildren();
  await Promise.allSettled(children.values());
}

function interruptChildren(): void {
  if (isCancelled()) return;
  controller.abort();
  for (const interrupt of children.keys()) interrupt();
}

/** Whether the job was cancelled. */
export function isCancelled(): boolean {
  return controller.signal.aborted;
}

/** Aborts when the job is cancelled. */
export const cancelSignal: AbortSignal = controller.signal;

/** Makes a cancel interrupt `child` until `end` has settled. */
export function interruptOnCancel(
  child: ChildProcess,
  { how, end }: { how: Interrupt; end: Promise<unknown> },
): void {
  const interrupt = () => interruptGroup(child, how);
  children.set(interrupt, end);
  const forget = () => children.delete(interrupt);
  end.then(forget, forget);
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
