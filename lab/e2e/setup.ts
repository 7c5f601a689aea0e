import { ensureImages } from '../images/images.ts';
import { destroyWorld } from '../world.ts';
import { ALL_LANES } from './lanes.ts';

/** Vitest's hook before the first end-to-end file: builds the images, so that two lanes do not build the same ones. */
export async function setup(): Promise<void> {
  await ensureImages({ onProgress: (line) => console.log(line) });
}

/** Vitest's hook after the last one. */
export async function teardown(): Promise<void> {
  for (const { world } of ALL_LANES) await destroyWorld(world);
}
