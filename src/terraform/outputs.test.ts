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

test('reads the nodes; one without a public address has an empty one', () => {
  expect(readNodes({ nodes: { value: [node] } }, '/work')).toEqual([
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
  expect(() => readNodes(outputs, '/work')).toThrow(
    /^\/work: .* has no nodes yet\. Run apply first/,
  );
});
