import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { ALL_LANES, type Lane } from './lanes.ts';

/** The lane of this test file, which no other process has until this one ends. */
export const LANE: Lane = await takeLane();

/**
 * Takes the first lane that is free, or waits for one.
 *
 * A lane is held by listening on a socket in the kernel's own namespace (unix(7), abstract sockets): one process
 * can, and however it ends, the lane is free again. Vitest's number of the worker would be simpler, but it gives
 * the same one to two workers at the seam between two groups of projects (seen with 4.1).
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
