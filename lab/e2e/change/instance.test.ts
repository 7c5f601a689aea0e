import { afterAll, beforeAll, expect, test } from 'vitest';
import { runDocker } from '../../images/docker.ts';
import { PAUSE_LIMIT_MS } from '../../load.ts';
import { nightlyTest } from '../../nightly.ts';
import { LANE } from '../lane.ts';
import { deploy, openPullRequest, requireSuccess } from '../stage.ts';
import { LiveCluster } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '1' };
const NODES = ['node-1', 'node-2'];

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

/** The machines' events in Docker: `node-2 die`, `node-2 start`, … */
async function listMachineEvents(since: number): Promise<string[]> {
  const nodes = new Map(NODES.map((node) => [cluster.instance(node).container, node]));
  const filters = [
    `label=postgres-cluster-lab=${LANE.world}`,
    'label=postgres-cluster-lab.instance',
    'event=die',
    'event=start',
  ];
  const printed = await runDocker([
    'events',
    ...['--since', `${since / 1000}`, '--until', `${Date.now() / 1000}`],
    ...['--format', '{{.Actor.Attributes.name}} {{.Action}}'],
    ...filters.flatMap((filter) => ['--filter', filter]),
  ]);
  return printed.split('\n').map((line) => {
    const [container = '', action] = line.split(' ');
    return `${nodes.get(container) ?? container} ${action}`;
  });
}

const listTypes = () => Object.values(cluster.world.aws.tables.instances).map(({ type }) => type);

test('a new instance type is applied node by node, replicas first, the primary last', async () => {
  const machines = NODES.map((node) => cluster.instance(node).id);
  const since = Date.now();
  const { primary, report, result } = await cluster.change(
    't3.small → t3.medium',
    { ...INPUTS, 'instance-type': 't3.medium' },
    { again: true },
  );
  const events = await listMachineEvents(since);
  // Each is stopped and started once; a stop is followed by the start of the same machine.
  expect(events).toHaveLength(2 * NODES.length);
  for (let index = 0; index < events.length; index += 2) {
    expect(events[index]).toMatch(/ die$/);
    expect(events[index + 1]).toBe(events[index]?.replace('die', 'start'));
  }
  // The order above shows that no two are down together. The sampler cannot: a stopped machine gets another
  // address, and at the old one it seems down forever.
  expect(events.at(-2)).toBe(`${primary.before} die`);
  expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
  expect(NODES.map((node) => cluster.instance(node).id)).toEqual(machines);
  expect(listTypes()).toEqual(NODES.map(() => 't3.medium'));
  expect(Object.values(cluster.readRoles(result)).sort()).toEqual(['primary', 'replica streaming']);
});

test('a type without capacity in EC2 stops one replica; pull requests and merges bring it back', async () => {
  const { tables } = cluster.world.aws;
  const large = { ...INPUTS, 'instance-type': 't3.large' };
  const primary = await cluster.findPrimary();
  const starts = await cluster.readStarts();
  await cluster.world.aws.edit(({ shortages }) => shortages.push('t3.large'));
  const { result: failed } = await deploy(cluster.world, 'no-capacity', large);
  expect(failed.conclusion, failed.log).toBe('failure');
  expect(failed.annotations.map(({ message }) => message).join('\n')).toMatch(
    /^node-\d: EC2 has no capacity .*Run this job again later/m,
  );
  const stopped = NODES.filter((node) => cluster.instance(node).state === 'stopped');
  expect(stopped).toHaveLength(1);
  expect(stopped).not.toContain(primary);
  const others = Object.entries(starts).filter(([node]) => !stopped.includes(node));
  expect(await cluster.readStarts()).toEqual(Object.fromEntries(others));

  // A pull request that restores the old type shows its effect.
  const { event, number } = openPullRequest(cluster.world, 'back-to-medium');
  requireSuccess(await cluster.world.run(event, { ...INPUTS, 'instance-type': 't3.medium' }));
  expect(cluster.world.github.listComments(number)[0]?.body).toMatch(
    /\*\*Start\*\* the instance of `node-\d` \(Terraform\), which is stopped in EC2, as `t3\.medium`/,
  );

  await cluster.world.aws.edit((all) => {
    all.shortages = [];
  });
  const { result, report } = await cluster.change('t3.large, once there is capacity', large);
  expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
  expect(Object.values(tables.instances).map(({ type, state }) => `${type} ${state}`)).toEqual(
    NODES.map(() => 't3.large running'),
  );
  expect(Object.values(cluster.readRoles(result)).sort()).toEqual(['primary', 'replica streaming']);
});

nightlyTest('the old instance type is restored, with a requested primary', async () => {
  const { primary } = await cluster.change('t3.large → t3.small', {
    ...INPUTS,
    primary: 'node-1',
  });
  expect(primary.after).toBe('node-1');
  expect(listTypes()).toEqual(NODES.map(() => 't3.small'));
});
