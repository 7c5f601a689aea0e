import { expect, test } from 'vitest';
import type { Node } from '../cluster/node.ts';
import { createNode } from '../cluster/testing/fixtures.ts';
import { renderConnectionString, renderPublicConnectionString } from './connection-string.ts';

const NODES: readonly Node[] = [1, 2].map((number) => ({
  ...createNode(number),
  privateAddress: `10.42.0.${number + 3}`,
  publicAddress: `203.0.113.${number}`,
}));
const named = NODES.map((node) => ({ ...node, dnsName: `${node.name}.orders.example.internal` }));

test.each([
  ['private addresses', NODES, '10.42.0.4:5432,10.42.0.5:5432'],
  ['names', named, 'node-1.orders.example.internal:5432,node-2.orders.example.internal:5432'],
])('clients in the network connect by %s', (_, nodes, hosts) => {
  expect(renderConnectionString(nodes)).toBe(
    `postgresql://postgres@${hosts}/postgres?target_session_attrs=read-write`,
  );
});

test('other clients connect by public addresses, if every node has one', () => {
  expect(renderPublicConnectionString(named)).toContain('@203.0.113.1:5432,203.0.113.2:5432/');
  const [first, ...rest] = NODES;
  const half = first === undefined ? [] : [{ ...first, publicAddress: '' }, ...rest];
  expect(renderPublicConnectionString(half)).toBeNull();
  expect(renderPublicConnectionString([])).toBeNull();
});
