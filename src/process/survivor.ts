import { mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** How another process finds a child that outlives its parent. Serializable as JSON. */
export interface Survivor {
  readonly pid: number;
  /** Clock ticks from the machine's boot to the start of the child, as a pid may be reused. */
  readonly startTime: string;
  /** Program and first argument. */
  readonly what: string;
  /** Folder of its output. */
  readonly output: string;
}

/** The child `pid` as another process finds it; null if it has ended. `what` and `output` as in `Survivor`. */
export function identify(pid: number, what: string, output: string): Survivor | null {
  const startTime = readStat(pid)?.startTime;
  return startTime === undefined ? null : { pid, startTime, what, output };
}

/**
 * Waits until a survivor has ended, at most `timeout` ms. `onLine` gets the output that the parent did not pass on: the
 * rest of standard output as it arrives, then standard error. Returns whether the child has ended.
 */
export async function awaitSurvivor(
  survivor: Survivor,
  options: { timeout: number; onLine: (line: string) => void },
): Promise<boolean> {
  const deadline = Date.now() + options.timeout;
  const isRunning = () => isAlive(survivor) && Date.now() < deadline;
  for await (const line of followOutput(survivor.output, isRunning)) options.onLine(line);
  for await (const line of followErrors(survivor.output, () => false)) options.onLine(line);
  return !isAlive(survivor);
}

const STDOUT = 'stdout';
const STDERR = 'stderr';
/** Number of bytes of standard output that were passed on, as decimal text. */
const POSITION = 'position';
/** Time between two reads of a file. */
const POLL_MS = 100;

/** Creates the files for the output of one child. */
export function openOutput(temporary: string): { folder: string; stdout: number; stderr: number } {
  const folder = mkdtempSync(join(temporary, 'child-'));
  const openNew = (name: string) => openSync(join(folder, name), 'ax', 0o600);
  writeFileSync(join(folder, POSITION), '0', { mode: 0o600 });
  return { folder, stdout: openNew(STDOUT), stderr: openNew(STDERR) };
}

/** Lines of standard output that were not passed on yet, until its writer has ended. Records its position. */
export function followOutput(folder: string, isRunning: () => boolean): AsyncIterable<string> {
  const file = join(folder, POSITION);
  return followFile(join(folder, STDOUT), {
    isRunning,
    position: Number(readFileSync(file, 'utf8')),
    onPosition: (position) => writeFileSync(file, String(position)),
  });
}

/** Lines of standard error, until its writer has ended. */
export function followErrors(folder: string, isRunning: () => boolean): AsyncIterable<string> {
  return followFile(join(folder, STDERR), { isRunning });
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
      // Asked before the file is read, so that the last output is in it.
      const running = options.isRunning();
      const unread = (await file.stat()).size - position;
      if (unread > 0) {
        const { buffer } = await file.read({ buffer: Buffer.alloc(unread), position });
        // The last line, or its last character, may be incomplete.
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
      await sleep(POLL_MS);
    }
  } finally {
    await file.close();
  }
}

/** Whether the process is running. A zombie keeps its pid until it is reaped. */
function isAlive({ pid, startTime }: Survivor): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.startTime === startTime && !['Z', 'X'].includes(stat.state);
}

/** State and start time of a process, or null if there is none. Source: proc_pid_stat(5). */
function readStat(pid: number): { state: string; startTime: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name, which may contain any character; the third follows the last bracket.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: fields[22 - 3] ?? '' };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
