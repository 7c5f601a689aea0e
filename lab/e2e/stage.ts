import type { NodeProof } from '../../src/cluster/proof.ts';
import { query, type Server } from '../client.ts';
import { runDocker } from '../images/docker.ts';
import { postgresTags } from '../registry/registry.ts';
import type { JobOptions, JobResult } from '../runner/job.ts';
import { emptyWorld, startWorld, type World, type WorldOptions } from '../world.ts';
import { LANE } from './lane.ts';

/** The label that lets nodes with data be destroyed, as `allow-destroy-label` has it by default. */
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

/** Opens a pull request and gives its number beside the event. */
export function openPullRequest(world: World, branch: string) {
  const event = world.github.openPullRequest({ branch, title: `Change ${branch}` });
  const { number } = (event.payload as { pull_request: { number: number } }).pull_request;
  return { event, number };
}

/**
 * Opens and merges a pull request and deploys the push. Nobody reviews it, which would cost each test as long
 * again: that merges are held to what was reviewed has tests of its own.
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

/** The log goes with the failure: nothing else says why. */
export function requireSuccess(result: JobResult): JobResult {
  if (result.conclusion !== 'success') throw new Error(`${result.conclusion}\n${result.log}`);
  return result;
}

export function readProof(result: JobResult): NodeProof[] {
  return JSON.parse(result.outputs['cluster-status'] ?? '[]') as NodeProof[];
}

/** The primary and the replicas as clients reach them. */
export function readServers(
  world: World,
  result: JobResult,
): { primary: Server; replicas: Server[] } {
  const password = world.secrets['postgres-password'];
  const replicas = JSON.parse(result.outputs['replica-hosts'] ?? '[]') as string[];
  return {
    primary: { host: result.outputs['primary-host'] ?? '', password },
    replicas: replicas.map((host) => ({ host, password })),
  };
}

/** When PostgreSQL was started, to see whether something restarted it. */
export async function readStarts(servers: readonly Server[]): Promise<string[]> {
  return Promise.all(servers.map((server) => query(server, 'SELECT pg_postmaster_start_time()')));
}

/** How many tasks changed something, as the action's log says of each time it configured; NaN if it never did. */
export function readChanges(result: JobResult): number {
  const counts = [...result.log.matchAll(/(\d+) tasks? changed something/g)];
  if (counts.length === 0) return Number.NaN;
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Runs a command on a node as root, bypassing ssh. */
export function runOnNode(world: World, node: string, command: readonly string[]): Promise<string> {
  const instance = world.aws.listInstances().find(({ name }) => name.endsWith(node));
  if (!instance) throw new Error(`There is no instance of ${node}.`);
  return runDocker(['exec', instance.container, ...command]);
}
