import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PAUSE_LIMIT_MS } from '../../load.ts';
import type { JobResult } from '../../runner/job.ts';
import { connect, deploy, listPeers, openPullRequest, requireSuccess } from '../stage.ts';
import { LiveCluster } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '2' };

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

const scale = (count: number, more: Readonly<Record<string, string>> = {}) => ({
  ...INPUTS,
  'replica-count': `${count}`,
  ...more,
});
const listNodes = () => Object.keys(cluster.listServers());
const listVolumes = (...nodes: string[]) => nodes.flatMap((node) => cluster.instance(node).volumes);
const listSnapshots = () =>
  Object.values(cluster.world.aws.tables.snapshots).map(({ volume }) => volume);
const listSlots = async () =>
  (await cluster.ask(
    await cluster.findPrimary(),
    "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots",
  )) || null;

describe('the number of replicas', () => {
  test('grows by one node, and no other node is restarted', async () => {
    const { restarted, result } = await cluster.change('2 → 3 replicas', scale(3), { again: true });
    expect(restarted).toEqual(['node-4']);
    expect(cluster.readRoles(result)).toEqual({
      'node-1': 'primary',
      'node-2': 'replica streaming',
      'node-3': 'replica streaming',
      'node-4': 'replica streaming',
    });
  });

  test('shrinks by two in one run, even if the last node is the primary', async () => {
    const { primary } = await cluster.change(
      'node-4 becomes primary',
      scale(3, { primary: 'node-4' }),
    );
    expect(primary.after).toBe('node-4');

    const volumes = listVolumes('node-3', 'node-4');
    expect(volumes).toHaveLength(2);
    const change = await cluster.change('3 → 1 replicas', scale(1));
    expect(change.report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
    expect(listNodes()).toEqual(['node-1', 'node-2']);
    const { after } = change.primary;
    expect(['node-1', 'node-2']).toContain(after);
    expect(await listSlots()).toBe(after === 'node-1' ? 'node_2' : 'node_1');
    // The volumes are deleted, a snapshot of each is kept.
    expect(listSnapshots()).toEqual(expect.arrayContaining(volumes));
    for (const volume of volumes) {
      expect(cluster.world.aws.tables.volumes).not.toHaveProperty(volume);
    }
  });

  test('can be zero; an interrupted removal continues with the next merge', async () => {
    await cluster.world.aws.edit(({ slowSnapshots }) =>
      slowSnapshots.push(...listVolumes('node-2')),
    );
    const readErrors = ({ annotations }: JobResult) =>
      annotations.map(({ message }) => message).join('\n');
    const { result: failed } = await deploy(cluster.world, 'slow-snapshot', scale(0));
    expect(failed.conclusion, failed.log).toBe('failure');
    expect(readErrors(failed)).toMatch(/waiting for EBS Snapshot/);
    expect(listNodes()).toEqual(['node-1']);
    // The remains of node-2 do not block anything.
    const event = cluster.world.github.dispatch('deploy-by-hand', {});
    requireSuccess(await cluster.world.run(event, { ...scale(0), command: 'configure' }));
    await cluster.world.aws.edit((tables) => {
      tables.slowSnapshots = [];
    });
    const { result } = await cluster.change('1 → 0 replicas', scale(0));
    expect(cluster.readRoles(result)).toEqual({ 'node-1': 'primary' });
    expect(listNodes()).toEqual(['node-1']);
    expect(await listSlots()).toBeNull();
  });

  test('grows again, without a restart of the primary', async () => {
    const { restarted, result } = await cluster.change('0 → 1 replicas', scale(1));
    expect(restarted).toEqual(['node-2']);
    expect(cluster.readRoles(result)).toEqual({
      'node-1': 'primary',
      'node-2': 'replica streaming',
    });
  });
});

describe('the way to SSH', () => {
  const ENDPOINT = { 'ssh-via': 'instance-connect-endpoint', 'ssh-cidrs': '' };
  const SETTINGS = 'max_connections = 120';
  const reach = (node: string) => connect(cluster.server(node).host, 22);
  const listEndpoints = () => Object.values(cluster.world.aws.tables.endpoints);
  /** The comment on a pull request that asks for `inputs`. */
  const review = async (branch: string, inputs: Readonly<Record<string, string>>) => {
    const { event, number } = openPullRequest(cluster.world, branch);
    requireSuccess(await cluster.world.run(event, inputs));
    return cluster.world.github.listComments(number)[0]?.body ?? '';
  };

  test('changes to an endpoint: the deploy looks over port 22, closes it, and goes on through the endpoint', async () => {
    const comment = await review('endpoint', scale(1, ENDPOINT));
    expect(comment).toMatch(
      /planned · adds the Instance Connect Endpoint · changes who may connect/,
    );
    // The look at the nodes, which this needs, was taken over port 22.
    expect(comment).toContain('every node already runs as asked');
    expect(cluster.world.aws.tunnels.records).toEqual([]);
    await reach('node-1');

    const change = await cluster.change('direct → endpoint', scale(1, ENDPOINT), { again: true });
    expect(change.restarted).toEqual([]);
    expect(change.primary.after).toBe(change.primary.before);
    expect(change.report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
    expect(listPeers(cluster.world, 22)).toEqual(listEndpoints()[0]?.groups);
    for (const node of listNodes()) await expect(reach(node)).rejects.toThrow(/timeout/);
    const { records } = cluster.world.aws.tunnels;
    expect(records.length).toBeGreaterThan(0);
    expect(records.filter(({ refusal }) => refusal !== null)).toEqual([]);
  });

  test('is lost in the middle of a restart: the deploy says so, and the next one finishes', async () => {
    const inputs = scale(1, { ...ENDPOINT, settings: SETTINGS });
    const primary = await cluster.findPrimary();
    const [replica = 'none'] = await cluster.listReplicas();
    const starts = await cluster.readStarts();
    const signal = (name: string) => cluster.run(replica, 'pkill', `-${name}`, '-x', 'postgres');
    let held: Promise<string> | undefined;
    let cut: Promise<number> | undefined;
    const { result, number } = await deploy(cluster.world, 'cut', inputs, {
      onLine: (line) => {
        // The restart waits for the server.
        if (line.startsWith('The steps:')) held ??= signal('STOP');
        if (/throw-away server +ok/.test(line))
          cut ??= sleep(5_000).then(() => cluster.world.aws.tunnels.cut());
      },
    });
    await held;
    await signal('CONT');
    expect(await cut, result.log).toBeGreaterThan(0);
    expect(result.conclusion, result.log).toBe('failure');
    const reason =
      /node-\d cannot be reached any more \(step restart\): eice-\w+ closed the tunnel \(The maximum tunnel duration has been reached\)\. Run this again\./;
    expect(result.annotations.map(({ message }) => message).join('\n')).toMatch(reason);
    expect(cluster.world.github.listComments(number)[0]?.body).toMatch(reason);
    // The primary waits for its replica.
    expect((await cluster.readStarts())[primary]).toBe(starts[primary]);

    const { result: next } = await cluster.change('after lost tunnels', inputs);
    expect(await cluster.askAll('SHOW max_connections')).toEqual({
      'node-1': '120',
      'node-2': '120',
    });
    expect(Object.values(cluster.readRoles(next)).sort()).toEqual(['primary', 'replica streaming']);
  });

  test('changes back to direct connections: port 22 is open to the networks in ssh-cidrs alone', async () => {
    const inputs = scale(1, { settings: SETTINGS });
    const comment = await review('direct', inputs);
    expect(comment).toMatch(
      /planned · removes the Instance Connect Endpoint · changes who may connect/,
    );
    expect(comment).toContain('every node already runs as asked');
    const change = await cluster.change('endpoint → direct', inputs);
    expect(change.restarted).toEqual([]);
    expect(change.primary.after).toBe(change.primary.before);
    expect(listEndpoints()).toEqual([]);
    expect(listPeers(cluster.world, 22)).toEqual([cluster.world.runnerCidr]);
    for (const node of listNodes()) await reach(node);
  });
});
