import { destroyWorld } from '../world.ts';
import { STAGE } from './stage.ts';

/** Vitest's hook after the last end-to-end file. */
export async function teardown(): Promise<void> {
  await destroyWorld(STAGE);
}
