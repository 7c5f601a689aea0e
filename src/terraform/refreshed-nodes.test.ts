import { expect, test } from 'vitest';
import { readRefreshedNodes } from './refreshed-nodes.ts';

const instance = (index: string, values: object) => ({
  ...{ address: `aws_instance.node["${index}"]`, mode: 'managed', type: 'aws_instance' },
  ...{ name: 'node', index },
  values: {
    ...{ id: `i-000000000000000${index}`, instance_type: 't3.small', instance_state: 'running' },
    ...{ private_ip: `10.42.0.1${index}`, public_ip: `203.0.113.1${index}` },
    ...values,
  },
});
const volume = (index: string) => ({
  ...{ address: `aws_ebs_volume.data["${index}"]`, mode: 'managed', type: 'aws_ebs_volume' },
  ...{ name: 'data', index },
  values: { id: `vol-000000000000000${index}`, availability_zone: 'us-east-1a' },
});
const plan = (...resources: object[]) => ({
  format_version: '1.2',
  prior_state: { format_version: '1.0', values: { root_module: { resources } } },
});

test('nodes have their present addresses', () => {
  const { nodes, notRunning } = readRefreshedNodes(
    plan(instance('1', { public_ip: '198.51.100.9' }), volume('1'), volume('2')),
  );
  // The instance of node-2 no longer exists.
  expect(nodes).toMatchObject([{ name: 'node-1', publicAddress: '198.51.100.9' }]);
  expect(notRunning).toEqual([]);
});

test('a stopped instance is listed with its state', () => {
  const stopped = { instance_state: 'stopped', public_ip: '' };
  const { notRunning } = readRefreshedNodes(plan(instance('1', stopped), volume('1')));
  expect(notRunning).toMatchObject([{ node: { name: 'node-1' }, state: 'stopped' }]);
});

test('an empty state has no nodes, and other JSON is refused', () => {
  expect(readRefreshedNodes({ format_version: '1.2' }).nodes).toEqual([]);
  expect(() => readRefreshedNodes({})).toThrow(/format_version/);
});
