import { setTimeout } from 'node:timers/promises';
import { worldLabel } from '../images/container.ts';
import { runDocker } from '../images/docker.ts';

/** A world and the first two bytes of its internet, e.g. `10.99` for 10.99.0.0/16. */
export type Internet = { world: string; prefix?: string };

// How long Docker may take to list a network that is being created.
const CREATE_MS = 10_000;

/** The Docker network that serves as the internet of a world. */
export function nameInternet(world: string): string {
  return `pgca-${world}-internet`;
}

async function isPresent(name: string): Promise<boolean> {
  return (await runDocker(['network', 'ls', '--quiet', '--filter', `name=^${name}$`])) !== '';
}

/** Creates the internet of a world if it does not exist (gateway: the address .0.1), and returns its network's name. */
export async function ensureInternet({ world, prefix = '10.99' }: Internet): Promise<string> {
  const name = nameInternet(world);
  if (await isPresent(name)) return name;
  const addresses = ['--subnet', `${prefix}.0.0/16`, '--gateway', `${prefix}.0.1`];
  const label = ['--label', `${worldLabel}=${world}`];
  try {
    await runDocker(['network', 'create', ...label, ...addresses, name]);
  } catch (error) {
    // Another part of the same world may be creating it: Docker takes the addresses before it lists the network.
    const deadline = Date.now() + CREATE_MS;
    while (!(await isPresent(name))) {
      if (Date.now() > deadline) throw error;
      await setTimeout(100);
    }
  }
  return name;
}

/** Removes the internet of a world unless something is still connected to it; returns whether it is gone. */
export async function removeInternet(world: string): Promise<boolean> {
  const name = nameInternet(world);
  if (!(await isPresent(name))) return true;
  const inside = await runDocker(['network', 'inspect', '--format', '{{len .Containers}}', name]);
  if (inside !== '0') return false;
  await runDocker(['network', 'rm', name]);
  return true;
}
