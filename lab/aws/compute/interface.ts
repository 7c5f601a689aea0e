import { mkdirSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../instance-connect/endpoint.ts';
import { runDocker } from './command.ts';
import { ENDPOINT_LABEL, nameContainer, WORLD_LABEL } from './machine.ts';

const INSIDE = '/run/endpoint';
const FORWARDER = join(import.meta.dirname, 'forward.py');

// How long the forwarder may take to listen.
const START_MS = 15_000;

/** The folder that an endpoint's container shares with this computer. A Unix socket's path must be short. */
function locateFolder(world: string, id: string): string {
  return join(tmpdir(), `pgca-${world}-${id}`);
}

/**
 * Connects from the network interface of an endpoint to `target`, `<address> <port>`: see forward.py. Rejects if it
 * cannot be reached.
 */
export function dialFrom(world: string, id: string, target: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(join(locateFolder(world, id), 'socket'));
  socket.on('error', reject).on('close', () => reject(new Error('the forwarder hung up')));
  socket.once('connect', () => socket.write(`${target}\n`));
  let answer = Buffer.alloc(0);
  const read = (chunk: Buffer): void => {
    answer = Buffer.concat([answer, chunk]);
    const end = answer.indexOf('\n');
    if (end < 0) return;
    socket.off('data', read).pause();
    const problem = answer.subarray(0, end).toString();
    if (problem !== '') {
      socket.destroy();
      reject(new Error(problem));
      return;
    }
    // The target may already have spoken.
    socket.unshift(answer.subarray(end + 1));
    resolve(socket);
  };
  socket.on('data', read);
  return promise;
}

/** The arguments of `docker create` for the container that is the network interface of an endpoint. */
export function buildInterface(
  { id, privateIp }: Pick<Endpoint, 'id' | 'privateIp'>,
  { world, network, image }: { world: string; network: string; image: string },
): string[] {
  return [
    `--name=${nameContainer(world, id)}`,
    `--network=${network}`,
    `--ip=${privateIp}`,
    `--label=${WORLD_LABEL}=${world}`,
    `--label=${ENDPOINT_LABEL}=${id}`,
    `--volume=${locateFolder(world, id)}:${INSIDE}`,
    `--volume=${FORWARDER}:/forward.py:ro`,
    image,
    'python3',
    '/forward.py',
    `${INSIDE}/socket`,
  ];
}

/** Starts the container, which `create` makes if it does not exist; returns when it listens. */
export async function startInterface(
  world: string,
  { id }: Pick<Endpoint, 'id'>,
  create: () => Promise<void>,
): Promise<void> {
  const container = nameContainer(world, id);
  mkdirSync(locateFolder(world, id), { recursive: true });
  if (!(await runDocker('ps', '--all', '--quiet', '--filter', `name=^/${container}$`)))
    await create();
  await runDocker('start', container);
  const deadline = Date.now() + START_MS;
  // As the container sees it: an old socket stays on this side until the forwarder replaces it.
  while (!(await isListening(container))) {
    if (Date.now() < deadline) continue;
    throw new Error(`${container} does not listen: ${await runDocker('logs', container)}`);
  }
}

async function isListening(container: string): Promise<boolean> {
  const ask = 'import socket; socket.socket(socket.AF_UNIX).connect("/run/endpoint/socket")';
  return runDocker('exec', container, 'python3', '-c', ask).then(
    () => true,
    () => false,
  );
}

/** Removes the container with its connections. */
export async function removeInterface(world: string, { id }: Pick<Endpoint, 'id'>): Promise<void> {
  await runDocker('rm', '--force', '--volumes', nameContainer(world, id)).catch(() => {});
  rmSync(locateFolder(world, id), { recursive: true, force: true });
}
