import { once } from 'node:events';
import { connect as connectTo } from 'node:net';
import type { NodeProof } from '../../src/cluster/proof.ts';
import { query, type Server } from '../client.ts';
import { runDocker } from '../images/docker.ts';
import { findPublicHost } from '../public-host.ts';
import { postgresTags } from '../registry/registry.ts';
import type { JobOptions, JobResult } from '../runner/job.ts';
import { emptyWorld, startWorld, type World, type WorldOptions } from '../world.ts';
import { LANE } from './lane.ts';

/** The label that allows to destroy nodes with data: the default of `allow-destroy-label`. */
export const ALLOW_DESTROY = 'allow-destroy';

/** An empty world for one test file. */
export async function openStage(options: Partial<WorldOptions> = {}): Promise<World> {
  const { world: name, ...addresses } = LANE;
  await emptyWorld(name);
  const onProgress = (line: string) => console.log(line);
  return startWorld({ name, ...addresses, tags: postgresTags, onProgress, ...options });
}

export async function closeStage(world: World): Promise<void> {
  await world.stop();
  await emptyWorld(world.name);
}

/** Opens a pull request and returns its number with the event. */
export function openPullRequest(world: World, branch: string) {
  const event = world.github.openPullRequest({ branch, title: `Change ${branch}` });
  const { number } = (event.payload as { pull_request: { number: number } }).pull_request;
  return { event, number };
}

/**
 * Opens and merges a pull request and deploys the push, without a review, which would double each test's
 * duration. Other tests cover that merges apply only what was reviewed.
 */
export async function deploy(
  world: World,
  branch: string,
  inputs: Readonly<Record<string, string>>,
  options: Partial<JobOptions> = {},
): Promise<{ result: JobResult; number: number }> {
  const { number } = openPullRequest(world, branch);
  world.github.label(number, ALLOW_DESTROY);
  const { push } = world.github.merge(number, 'squash');
  const taken = { 'on-plan-change': 'apply', ...inputs };
  return { result: await world.run(push, taken, options), number };
}

/** Throws with the log unless the job succeeded: only the log says why. */
export function requireSuccess(result: JobResult): JobResult {
  if (result.conclusion !== 'success') throw new Error(`${result.conclusion}\n${result.log}`);
  return result;
}

export function readProof(result: JobResult): NodeProof[] {
  return JSON.parse(result.outputs['cluster-status'] ?? '[]') as NodeProof[];
}

/** The primary and the replicas as clients connect to them. */
export function readServers(
  world: World,
  result: JobResult,
): { primary: Server; replicas: Server[] } {
  const password = world.secrets['postgres-password'];
  const replicas = JSON.parse(result.outputs['replica-hosts'] ?? '[]') as string[];
  return {
    primary: { host: findPublicHost(world, result.outputs['primary-host'] ?? ''), password },
    replicas: replicas.map((host) => ({ host: findPublicHost(world, host), password })),
  };
}

/** When PostgreSQL was started, to detect restarts. */
export async function readStarts(servers: readonly Server[]): Promise<string[]> {
  return Promise.all(servers.map((server) => query(server, 'SELECT pg_postmaster_start_time()')));
}

/** The number of changed tasks, from the action's log of each configuration; NaN if it never configured. */
export function readChanges(result: JobResult): number {
  const counts = [...result.log.matchAll(/(\d+) tasks? changed something/g)];
  if (counts.length === 0) return Number.NaN;
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Connects to a port, and waits at most two seconds for it. */
export async function connect(host: string, port: number): Promise<void> {
  const socket = connectTo({ host, port });
  socket.setTimeout(2000, () => socket.destroy(new Error('timeout')));
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/** Who may connect to a port, by all security groups: networks, and ids of other groups. */
export function listPeers(world: World, port: number): string[] {
  return Object.values(world.aws.tables.rules)
    .filter(({ egress, from, to, protocol }) => {
      const covers = protocol === '-1' || ((from ?? 0) <= port && (to ?? 0) >= port);
      return !egress && covers;
    })
    .map(({ referencedGroup, cidrIpv4, cidrIpv6, prefixList }) =>
      String(referencedGroup ?? cidrIpv4 ?? cidrIpv6 ?? prefixList),
    );
}

/** Runs a command on a node as root, bypassing ssh. */
export function runOnNode(world: World, node: string, command: readonly string[]): Promise<string> {
  const instance = world.aws.listInstances().find(({ name }) => name.endsWith(node));
  if (!instance) throw new Error(`There is no instance of ${node}.`);
  return runDocker(['exec', instance.container, ...command]);
}
