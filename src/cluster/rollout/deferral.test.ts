import { describe, expect, test } from 'vitest';
import { createDesired, createHealthy, createNode } from '../testing/fixtures.ts';
import { changeNode, stopped } from '../testing/rollout-fixtures.ts';
import { renderSynchronous } from './node-settings.ts';
import { rollout } from './rollout.ts';

const NO_FILES = { postgresqlConf: null, pgHba: null, pgbackrestConf: null, backupJson: null };

const running = createDesired({ size: 4 });
const healthy = createHealthy(running);
const reachable = healthy.filter(({ name }) => name !== 'node-3');
const unreachable = ['node-3'];

function plan(desired: ReturnType<typeof createDesired>, observed = reachable) {
  const found = rollout(observed, { ...desired, unreachable });
  if (found.kind !== 'steps') throw new Error(found.refusals.join('\n'));
  const steps = found.steps.map(({ kind, nodes }) => `${kind} ${nodes.join(' ')}`);
  return { ...found, words: steps };
}

describe('an unreachable replica', () => {
  test('is named where the other nodes are as desired, and nothing is done', () => {
    const { words, deferral } = plan(running);
    expect(words).toEqual([]);
    expect(deferral).toEqual({ nodes: unreachable, deferred: [] });
  });

  test('does not prevent a reload of the others', () => {
    const { words, deferral } = plan({
      ...running,
      settings: { ...running.settings, work_mem: '8MB' },
    });
    expect(words).toEqual(['reload node-1 node-2 node-4']);
    expect(deferral?.deferred).toEqual([]);
  });

  test('keeps its slot and its line in pg_hba.conf', () => {
    const nodes = [...running.nodes, createNode(5)];
    const { steps } = plan({ ...running, nodes }, [
      ...reachable,
      {
        ...(createHealthy({ ...running, nodes })[4] as (typeof reachable)[0]),
        data: 'absent',
        record: null,
        standby: false,
        postgres: null,
        container: null,
        files: NO_FILES,
      },
    ]);
    const admit = steps.find(({ kind }) => kind === 'admit');
    expect(admit).toMatchObject({ retiredSlots: [], slots: ['node_2', 'node_4', 'node_5'] });
    expect(steps.map(({ kind }) => kind)).toContain('clone');
  });

  test('defers restarts, and writes nothing that an unplanned start would apply', () => {
    const settings = { ...running.settings, max_connections: '200', work_mem: '8MB' };
    const { steps, deferral } = plan({ ...running, settings });
    expect(steps.map(({ kind }) => kind)).toEqual(['reload']);
    expect(steps[0]).toMatchObject({ settings: { max_connections: '100', work_mem: '8MB' } });
    expect(deferral?.deferred).toEqual([
      {
        kind: 'restart',
        nodes: ['node-1', 'node-2', 'node-4'],
        settings: ['max_connections'],
        image: false,
      },
    ]);
  });

  test('defers another image, another type, a switchover and a removal', () => {
    const [first, second, third, fourth] = running.nodes;
    if (!first || !second || !third || !fourth) throw new Error('four nodes');
    const { words, deferral } = plan({
      ...running,
      nodes: [first, second, third],
      leaving: [fourth],
      image: 'postgres:17.6',
      instanceType: 't3.large',
      memoryMib: 8192,
      primary: 'node-2',
    });
    expect(words.filter((step) => !step.startsWith('reload') && !step.startsWith('admit'))).toEqual(
      [],
    );
    expect(deferral?.deferred).toMatchObject([
      { kind: 'restart', nodes: ['node-1', 'node-2'], settings: [], image: true },
      { kind: 'resize', nodes: ['node-1', 'node-2'], instanceType: 't3.large' },
      { kind: 'switchover', to: 'node-2' },
      { kind: 'remove', nodes: ['node-4'] },
    ]);
  });

  test('does not prevent the start of a stopped replica', () => {
    expect(plan(running, changeNode(reachable, 'node-2', stopped)).words).toEqual(['start node-2']);
  });

  test('does not let commits wait for more replicas than can be reached', () => {
    const { steps, deferral } = plan({ ...running, synchronousReplicas: 3 });
    expect(steps).toEqual([]);
    expect(deferral?.deferred).toEqual([{ kind: 'synchronous', from: 0, to: 3 }]);
    const enough = plan({ ...running, synchronousReplicas: 2 });
    expect(enough.steps[0]).toMatchObject({
      settings: {
        synchronous_standby_names: renderSynchronous({ ...running, synchronousReplicas: 2 }),
      },
    });
    expect(enough.deferral?.deferred).toEqual([]);
  });
});
