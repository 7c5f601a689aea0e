import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Distinguishes this process from a later one with the same number: its start time, in clock ticks since boot. */
function readStart(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Locks the world, which two servers would overwrite. Throws if another one runs; returns the unlock function. */
export function lockWorld(directory: string): () => void {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'server.pid');
  const [pid = '', start] = existsSync(file) ? readFileSync(file, 'utf8').split(' ') : [];
  if (start !== undefined && readStart(Number(pid)) === start) {
    throw new Error(
      `The world in ${directory} is already served by process ${pid}: stop that one first.`,
    );
  }
  writeFileSync(file, `${process.pid} ${readStart(process.pid)}`);
  return () => rmSync(file, { force: true });
}
