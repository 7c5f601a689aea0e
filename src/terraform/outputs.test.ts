import { describe, expect, test } from 'vitest';
import {
  readAppliedDatabase,
  readNodes,
  readPlannedMemory,
  readPlannedOutputs,
  readState,
  readStateBefore,
  refuseForeignState,
} from './outputs.ts';

const node = {
  name: 'node-1',
  instance_id: 'i-1',
  private_address: '10.42.0.4',
  public_address: null,
  volume_id: 'vol-1',
  zone: 'us-east-1a',
  instance_type: 't3.medium',
};

const WHERE = { directory: '/work', spec: { name: 'orders', region: 'us-east-1' } };

function createOutputs(nodes: readonly object[]) {
  return {
    cluster_name: { value: 'orders' },
    region: { value: 'us-east-1' },
    nodes: { value: nodes },
  };
}

test('refuses the state of another cluster and names all differences', () => {
  const spec = { name: 'billing', region: 'eu-west-1' };
  expect(() => readNodes(createOutputs([node]), { ...WHERE, spec })).toThrow(
    /^cluster-name: billing .* cluster orders in us-east-1\..*\nregion: eu-west-1 .* Give us-east-1 again, or .* backend key/,
  );
});

test('reads the nodes, with an empty public address if there is none', () => {
  expect(readNodes(createOutputs([node]), WHERE)).toEqual([
    {
      name: 'node-1',
      instanceId: 'i-1',
      instanceType: 't3.medium',
      privateAddress: '10.42.0.4',
      publicAddress: '',
      dnsName: '',
      volumeId: 'vol-1',
      zone: 'us-east-1a',
    },
  ]);
});

test.each([
  ['nothing was applied', {}],
  ['all nodes are gone', { nodes: { value: [] } }],
])('explains what to do if %s', (_, outputs) => {
  expect(() => readNodes(outputs, WHERE)).toThrow(/^\/work: .* has no nodes yet\. Run apply first/);
});

test('a state is null before the first apply, and has no nodes after a failed one', () => {
  expect(readState({})).toBeNull();
  const { nodes: _, ...half } = createOutputs([]);
  expect(readState(half)).toEqual({
    clusterName: 'orders',
    region: 'us-east-1',
    nodes: [],
    endpointId: null,
  });
  expect(readState(createOutputs([node]))?.nodes[0]?.instanceType).toBe('t3.medium');
});

const ENDPOINT = 'eice-0a1b2c3d4e5f60718';

test('reads the endpoint and the names of the nodes, where there are any', () => {
  const outputs = {
    ...createOutputs([node]),
    instance_connect_endpoint_id: { value: ENDPOINT },
    dns_names: { value: { 'node-1': 'node-1.orders.example.internal' } },
  };
  const state = readState(outputs);
  expect(state?.endpointId).toBe(ENDPOINT);
  expect(state?.nodes[0]?.dnsName).toBe('node-1.orders.example.internal');
});

test.each([
  { instance_connect_endpoint_id: { value: 'eice-1 -o ProxyCommand=sh' } },
  { dns_names: { value: { 'node-1': 'node-1.orders.$(id)' } } },
])('refuses values that AWS does not use: %o', (outputs) => {
  expect(() => readState({ ...createOutputs([node]), ...outputs })).toThrow(/are not what this/);
});

test('refuses outputs of other templates', () => {
  expect(() => readState(createOutputs([{ name: 'node-1' }]))).toThrow(/instance_id/);
});

test('accepts the state of the same cluster', () => {
  const state = { clusterName: 'orders', region: 'us-east-1', nodes: [], endpointId: null };
  expect(() => refuseForeignState(state, WHERE.spec)).not.toThrow();
});

test.each([
  ['known', { instance_memory_mib: { sensitive: false, value: 4096 } }, 4096],
  ['not known before the apply', { instance_memory_mib: { sensitive: false } }, null],
  ['absent', {}, null],
])('planned memory that is %s', (_, outputs, memory) => {
  expect(readPlannedMemory({ planned_values: { outputs } })).toBe(memory);
});

test.each([
  ['none', null, null],
  ['a node', 'node-2', 'node-2'],
  ['missing', undefined, null],
])('reads the applied database; primary: %s', (_, written, primary) => {
  const before = { image: 'postgres:17', settings: { a: 'b' }, synchronous_replicas: 1 };
  const database = { before: { ...before, primary: written }, after: {} };
  expect(readAppliedDatabase({ output_changes: { database } })).toEqual({
    image: 'postgres:17',
    settings: { a: 'b' },
    synchronousReplicas: 1,
    primary,
  });
});

test('there is no applied database before the first apply', () => {
  expect(
    readAppliedDatabase({ output_changes: { database: { before: null, after: {} } } }),
  ).toBeNull();
});

describe('the cluster in the state of a plan', () => {
  const change = (before: unknown, after: unknown) => ({ actions: ['update'], before, after });

  test('is the one before the plan', () => {
    const output_changes = {
      cluster_name: change('orders', 'billing'),
      region: change('us-east-1', 'us-east-1'),
      nodes: { actions: ['create'], before: null, after_unknown: true },
    };
    const state = { clusterName: 'orders', region: 'us-east-1', nodes: [] };
    expect(readStateBefore({ output_changes })).toEqual({ ...state, endpointId: null });
    // The nodes have the way of the last apply, whatever a pull request asks for.
    const leaving = { ...output_changes, instance_connect_endpoint_id: change(ENDPOINT, null) };
    expect(readStateBefore({ output_changes: leaving })).toEqual({
      ...state,
      endpointId: ENDPOINT,
    });
    const coming = { ...output_changes, instance_connect_endpoint_id: change(null, ENDPOINT) };
    expect(readStateBefore({ output_changes: coming })?.endpointId).toBeNull();
  });

  test('is null for an empty state', () => {
    const output_changes = { cluster_name: change(null, 'orders'), region: change(null, 'x-1') };
    expect(readStateBefore({ output_changes })).toBeNull();
    expect(readStateBefore({})).toBeNull();
  });

  test('is refused if it is not what the action writes', () => {
    const output_changes = { cluster_name: change('orders', 'orders'), region: change(7, 7) };
    expect(() => readStateBefore({ output_changes })).toThrow(/not what this action writes/);
  });
});

test('planned outputs without a value are missing, as in a state', () => {
  const outputs = {
    region: { sensitive: false, type: 'string', value: 'us-east-1' },
    database: { sensitive: false, type: 'dynamic', value: null },
    nodes: { sensitive: false },
  };
  expect(readPlannedOutputs({ planned_values: { outputs } })).toEqual({ region: outputs.region });
  expect(readPlannedOutputs({})).toEqual({});
});
