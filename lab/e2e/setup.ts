import { ensureImages } from '../images/images.ts';
import { findAnsiblePath } from '../tools/ansible.ts';
import { destroyWorld } from '../world.ts';
import { ALL_LANES } from './lanes.ts';

/** Vitest's hook before the first end-to-end file: builds the images and downloads Ansible, so that two
 * lanes do not do the same. */
export async function setup(): Promise<void> {
  await ensureImages({ onProgress: (line) => console.log(line) });
  await findAnsiblePath(process.env.PATH ?? '');
}

/** Vitest's hook after the last one. */
export async function teardown(): Promise<void> {
  for (const { world } of ALL_LANES) await destroyWorld(world);
}
