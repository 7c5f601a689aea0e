import { expect, test } from 'vitest';
import { readNodes } from './outputs.ts';

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

test('refuses the state of another cluster, naming all that differs', () => {
  const spec = { name: 'billing', region: 'eu-west-1' };
  expect(() => readNodes(createOutputs([node]), { ...WHERE, spec })).toThrow(
    /^cluster-name: billing .* holds orders\..*\nregion: eu-west-1 .* is in us-east-1\./,
  );
});

test('reads the nodes; one without a public address has an empty one', () => {
  expect(readNodes(createOutputs([node]), WHERE)).toEqual([
    {
      name: 'node-1',
      instanceId: 'i-1',
      privateAddress: '10.42.0.4',
      publicAddress: '',
      volumeId: 'vol-1',
      zone: 'us-east-1a',
    },
  ]);
});

test.each([
  ['nothing was applied', {}],
  ['all nodes are gone', { nodes: { value: [] } }],
])('says what to do when %s', (_, outputs) => {
  expect(() => readNodes(outputs, WHERE)).toThrow(/^\/work: .* has no nodes yet\. Run apply first/);
});
