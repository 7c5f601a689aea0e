import { removeInternet } from '../../registry/network.ts';
import { runDocker } from './command.ts';
import { Disks } from './disks.ts';
import { removeInterface } from './interface.ts';
import { ENDPOINT_LABEL, INSTANCE_LABEL, VPC_LABEL, WORLD_LABEL } from './machine.ts';

async function list(...args: string[]): Promise<string[]> {
  return (await runDocker(...args)).split('\n').filter(Boolean);
}

/** Removes every machine, network and loop device of a world, regardless of its creator and state. */
export async function destroyCompute(world: string, directory: string): Promise<void> {
  const own = ['--filter', `label=${WORLD_LABEL}=${world}`];
  const machines = await list(
    'ps',
    '--all',
    '--quiet',
    ...own,
    '--filter',
    `label=${INSTANCE_LABEL}`,
  );
  if (machines.length > 0) await runDocker('rm', '--force', '--volumes', ...machines);
  const endpoint = ['--filter', `label=${ENDPOINT_LABEL}`];
  const format = ['--format', `{{.Label "${ENDPOINT_LABEL}"}}`];
  for (const id of await list('ps', '--all', ...own, ...endpoint, ...format))
    await removeInterface(world, { id });
  await new Disks(directory).disconnectAll();
  const networks = await list('network', 'ls', '--quiet', ...own, '--filter', `label=${VPC_LABEL}`);
  if (networks.length > 0) await runDocker('network', 'rm', ...networks);
  await removeInternet(world);
}
