import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A leftover process of an action. */
export interface Orphan {
  readonly pid: number;
  /** The command line, arguments separated by spaces. */
  readonly command: string;
}

/** How to recognise the processes of a job. */
export interface Trail {
  /** The job's RUNNER_TRACKING_ID, which children inherit. */
  readonly trackingId: string;
  /** The sessions that the job's entry processes led. */
  readonly sessions: readonly number[];
}

/** How long a process may take to end. */
const grace = 250;

/**
 * Finds the living processes of a job: those that inherited its tracking id, and those of its
 * sessions that were started with another environment. A process that ends by itself within a
 * quarter of a second does not count.
 */
export async function findOrphans(trail: Trail): Promise<Orphan[]> {
  const first = listProcesses(trail);
  if (first.length === 0) return [];
  await sleep(grace);
  return listProcesses(trail).filter(({ pid }) => first.some((other) => other.pid === pid));
}

function listProcesses(trail: Trail): Orphan[] {
  const marker = `RUNNER_TRACKING_ID=${trail.trackingId}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      // After the name, which may contain anything, come the state, the parent, the group, the session.
      const stat = read(`/proc/${name}/stat`);
      const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === undefined || state === '' || state === 'Z' || state === 'X') return [];
      const ours =
        read(`/proc/${name}/environ`).split('\0').includes(marker) ||
        trail.sessions.includes(Number(session));
      const command = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
      return ours ? [{ pid: Number(name), command }] : [];
    });
}

// A process can end between two reads.
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
