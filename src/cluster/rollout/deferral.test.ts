import { describe, expect, test } from 'vitest';
import { createDesired, createHealthy, createNode } from '../testing/fixtures.ts';
import { changeNode, stopped } from '../testing/rollout-fixtures.ts';
import { renderSynchronous } from './node-settings.ts';
import { rollout } from './rollout.ts';

const running = createDesired({ size: 4 });
const healthy = createHealthy(running);
const seen = healthy.filter(({ name }) => name !== 'node-3');
const away = ['node-3'];

function plan(desired: ReturnType<typeof createDesired>, observed = seen) {
  const found = rollout(observed, { ...desired, unreachable: away });
  if (found.kind !== 'steps') throw new Error(found.refusals.join('\n'));
  const steps = found.steps.map(({ kind, nodes }) => `${kind} ${nodes.join(' ')}`);
  return { ...found, words: steps };
}

describe('a replica that cannot be reached', () => {
  test('leaves nothing to do where the others are as asked, and is named', () => {
    const { words, deferral: leftOut } = plan(running);
    expect(words).toEqual([]);
    expect(leftOut).toEqual({ nodes: away, deferred: [] });
  });

  test('does not keep the others from a reload', () => {
    const { words, deferral: leftOut } = plan({
      ...running,
      settings: { ...running.settings, work_mem: '8MB' },
    });
    expect(words).toEqual(['reload node-1 node-2 node-4']);
    expect(leftOut?.deferred).toEqual([]);
  });

  test('keeps its slot and its line in pg_hba.conf', () => {
    const nodes = [...running.nodes, createNode(5)];
    const { steps } = plan({ ...running, nodes }, [
      ...seen,
      {
        ...(createHealthy({ ...running, nodes })[4] as (typeof seen)[0]),
        data: 'absent',
        record: null,
        standby: false,
        postgres: null,
        container: null,
        files: { postgresqlConf: null, pgHba: null },
      },
    ]);
    const admit = steps.find(({ kind }) => kind === 'admit');
    expect(admit).toMatchObject({ retiredSlots: [], slots: ['node_2', 'node_4', 'node_5'] });
    expect(steps.map(({ kind }) => kind)).toContain('clone');
  });

  test('leaves out restarts, and writes nothing that another start would bring', () => {
    const settings = { ...running.settings, max_connections: '200', work_mem: '8MB' };
    const { steps, deferral: leftOut } = plan({ ...running, settings });
    expect(steps.map(({ kind }) => kind)).toEqual(['reload']);
    expect(steps[0]).toMatchObject({ settings: { max_connections: '100', work_mem: '8MB' } });
    expect(leftOut?.deferred).toEqual([
      {
        kind: 'restart',
        nodes: ['node-1', 'node-2', 'node-4'],
        settings: ['max_connections'],
        image: false,
      },
    ]);
  });

  test('leaves out another image, another type, a switchover and a removal', () => {
    const [first, second, third, fourth] = running.nodes;
    if (!first || !second || !third || !fourth) throw new Error('four nodes');
    const { words, deferral: leftOut } = plan({
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
    expect(leftOut?.deferred).toMatchObject([
      { kind: 'restart', nodes: ['node-1', 'node-2'], settings: [], image: true },
      { kind: 'resize', nodes: ['node-1', 'node-2'], instanceType: 't3.large' },
      { kind: 'switchover', to: 'node-2' },
      { kind: 'remove', nodes: ['node-4'] },
    ]);
  });

  test('does not keep a stopped replica from being started', () => {
    expect(plan(running, changeNode(seen, 'node-2', stopped)).words).toEqual(['start node-2']);
  });

  test('a commit is not made to wait for more replicas than can be reached', () => {
    const { steps, deferral: leftOut } = plan({ ...running, synchronousReplicas: 3 });
    expect(steps).toEqual([]);
    expect(leftOut?.deferred).toEqual([{ kind: 'synchronous', from: 0, to: 3 }]);
    const enough = plan({ ...running, synchronousReplicas: 2 });
    expect(enough.steps[0]).toMatchObject({
      settings: {
        synchronous_standby_names: renderSynchronous({ ...running, synchronousReplicas: 2 }),
      },
    });
    expect(enough.deferral?.deferred).toEqual([]);
  });
});
