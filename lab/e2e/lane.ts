import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { ALL_LANES, type Lane } from './lanes.ts';

/** The lane of this test file; no other process has it until this one ends. */
export const LANE: Lane = await takeLane();

/**
 * Takes the first free lane, or waits for one.
 *
 * A process holds a lane by listening on a socket in the kernel's namespace (unix(7), abstract sockets): only one
 * can, and the lane is free again however the process ends. Vitest's worker number would be simpler, but it
 * is the same for two workers at the border between two groups of projects (seen with 4.1).
 */
async function takeLane(): Promise<Lane> {
  for (;;) {
    for (const lane of ALL_LANES) {
      if (await hold(`\0postgres-cluster-lab/${lane.world}`)) return lane;
    }
    await setTimeout(100);
  }
}

async function hold(path: string): Promise<boolean> {
  const server = createServer();
  server.listen(path);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.unref();
  return true;
}
