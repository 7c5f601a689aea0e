import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PAUSE_LIMIT_MS } from '../../load.ts';
import type { JobResult } from '../../runner/job.ts';
import { deploy, requireSuccess } from '../stage.ts';
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
    const { restarted, result } = await cluster.change('2 → 3 replicas', scale(3));
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
      { again: false },
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
