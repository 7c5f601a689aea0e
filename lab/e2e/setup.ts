import { ensureImages } from '../images/images.ts';
import { copyStorage, postgresTags, startRegistry } from '../registry/registry.ts';
import { findAnsiblePath } from '../tools/ansible.ts';
import { destroyWorld } from '../world.ts';
import { ALL_LANES } from './lanes.ts';

/**
 * Vitest's hook before the first end-to-end file: builds the images, fills the registries and downloads Ansible, so that
 * no two lanes do the same.
 */
export async function setup(): Promise<void> {
  const onProgress = (line: string) => console.log(line);
  await ensureImages({ onProgress });
  await findAnsiblePath(process.env.PATH ?? '');
  const [first, ...others] = ALL_LANES;
  if (first === undefined) return;
  const { world, prefix } = first;
  await startRegistry({ world, prefix, tags: postgresTags, onProgress });
  for (const other of others) await copyStorage({ from: world, to: other.world });
}

/** Vitest's hook after the last one. */
export async function teardown(): Promise<void> {
  for (const { world } of ALL_LANES) await destroyWorld(world);
}
