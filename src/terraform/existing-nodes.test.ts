import { describe, expect, test } from 'vitest';
import { createPlan, type ResourceOverrides } from '../report/fixtures/plan.ts';
import {
  explainStopped,
  explainUnstartable,
  findStopped,
  readExistingNodes,
} from './existing-nodes.ts';
import { summarizePlan } from './plan.ts';
import { parsePlan } from './plan-document.ts';

/** Creates a node as a plan's refresh found it; without `actions` the plan does not change it. */
function node(number: number, state: string, actions = ['no-op']): ResourceOverrides[] {
  const before = {
    id: `i-000000000000000${number}`,
    instance_type: 't3.medium',
    instance_state: state,
    private_ip: `10.42.0.${number}`,
    public_ip: '',
  };
  const volume = { id: `vol-000000000000000${number}`, availability_zone: 'us-east-1a' };
  const after = actions.includes('delete') ? {} : { after: before };
  return [
    { address: `aws_instance.node["${number}"]`, actions, before, ...after },
    {
      address: `aws_ebs_volume.data["${number}"]`,
      actions: ['no-op'],
      before: volume,
      after: volume,
    },
  ];
}

function read(...resources: ResourceOverrides[][]) {
  const document = createPlan(resources.flat());
  return { found: readExistingNodes(parsePlan(document)), plan: summarizePlan(document) };
}

test('a node has the name of its record, if there is one', () => {
  const name = 'node-2.orders.example.internal';
  const record: ResourceOverrides = {
    address: 'aws_route53_record.node["2"]',
    actions: ['no-op'],
    before: { id: 'Z0_node-2_A', name },
    after: { id: 'Z0_node-2_A', name },
  };
  const { found } = read(node(1, 'running'), node(2, 'running'), [record]);
  expect(found.nodes.map(({ dnsName }) => dnsName)).toEqual(['', name]);
});

test('behind a NAT gateway a node has no public address, also if it keeps one', () => {
  const [instance, ...rest] = node(1, 'running');
  const before = { ...(instance?.before as object), public_ip: '203.0.113.9' };
  const resources: ResourceOverrides[] = [
    { address: 'aws_instance.node["1"]', actions: ['no-op'], before, after: before },
  ];
  const gateway = (actions: string[]): ResourceOverrides => ({
    address: 'aws_nat_gateway.own[0]',
    actions,
    before: actions.includes('create') ? null : { id: 'nat-1' },
    after: { id: 'nat-1' },
  });
  const list = (...more: ResourceOverrides[]) =>
    read([...resources, ...rest, ...more]).found.nodes.map(({ publicAddress }) => publicAddress);
  expect(list()).toEqual(['203.0.113.9']);
  expect(list(gateway(['create']))).toEqual(['203.0.113.9']);
  expect(list(gateway(['no-op']))).toEqual(['']);
});

describe('nodes whose instance does not run', () => {
  test('are started if the plan keeps them and they have stopped', () => {
    const { found, plan } = read(node(1, 'running'), node(2, 'stopped'), node(3, 'stopping'));
    expect(findStopped(found, plan).map(({ name }) => name)).toEqual(['node-2', 'node-3']);
    expect(explainStopped(found, plan)[0]).toMatch(/^node-2: .* is stopped in EC2; the deploy/);
    expect(explainUnstartable(found)).toEqual([]);
  });

  test('are not started if the plan removes or replaces them', () => {
    const { found, plan } = read(
      node(1, 'stopped', ['delete', 'create']),
      node(2, 'stopped', ['delete']),
    );
    expect(found.notRunning).toHaveLength(2);
    expect(findStopped(found, plan)).toEqual([]);
  });

  test('stop the change if they cannot be started', () => {
    const { found, plan } = read(node(2, 'shutting-down'));
    expect(findStopped(found, plan)).toEqual([]);
    expect(explainUnstartable(found)).toEqual([
      expect.stringMatching(/^node-2: .* is shutting-down/),
    ]);
  });
});
