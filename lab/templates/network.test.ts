import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Lab, openLab } from './lab.ts';
import {
  applyValues,
  countChanges,
  destroyAll,
  PUBLIC_KEY,
  planValues,
  readOutputs,
  readState,
  type Values,
  type Workspace,
} from './workspace.ts';

// The way to the nodes, their way to the internet, and their names.

vi.setConfig({ testTimeout: 120_000 });

const BASE: Values = {
  cluster_name: 'orders',
  region: 'us-east-1',
  instance_type: 't3.medium',
  replica_count: 1,
  ssh_public_key: PUBLIC_KEY,
};
const DIRECT: Values = { ...BASE, ssh_cidrs: ['203.0.113.0/24'] };
const ENDPOINT: Values = { ...BASE, ssh_via: 'instance-connect-endpoint' };
const NAT: Values = { ...ENDPOINT, internet_via: 'nat-gateway' };

let lab: Lab;
beforeAll(async () => {
  lab = await openLab('templates-network');
  await lab.aws.edit(({ hostedZones }) => {
    hostedZones.Z0PRIVATE = { id: 'Z0PRIVATE', name: 'example.internal', isPrivate: true };
    hostedZones.Z0PUBLIC = { id: 'Z0PUBLIC', name: 'example.com', isPrivate: false };
  });
}, 120_000);
afterAll(() => lab.close());

const count = async (workspace: Workspace, values: Values) => {
  const { changes, errors } = await planValues(workspace, values);
  expect(errors).toEqual([]);
  return countChanges(changes);
};

describe('a cluster with direct connections', () => {
  let cluster: Workspace;
  beforeAll(async () => {
    cluster = await lab.deploy('direct', DIRECT);
  }, 120_000);
  afterAll(() => destroyAll(cluster, ENDPOINT));

  test('has nothing of an endpoint, not even an output', async () => {
    const outputs = await readOutputs(cluster);
    expect(outputs).not.toHaveProperty('instance_connect_endpoint_id');
    expect(outputs).not.toHaveProperty('dns_names');
    expect(Object.keys(lab.aws.tables.endpoints)).toEqual([]);
  });

  test('gets an endpoint of its own in one apply, and closes port 22 to the rest', async () => {
    const { changes } = await applyValues(cluster, ENDPOINT);
    expect(countChanges(changes)).toEqual({
      'create aws_ec2_instance_connect_endpoint.own': 1,
      'create aws_security_group.endpoint': 1,
      'create aws_vpc_security_group_egress_rule.endpoint': 1,
      'create aws_vpc_security_group_ingress_rule.endpoint': 1,
      'delete aws_vpc_security_group_ingress_rule.ssh': 1,
    });
    const state = await readState(cluster);
    const own = state.get('aws_ec2_instance_connect_endpoint.own[0]');
    expect(own).toMatchObject({ preserve_client_ip: false });
    expect((await readOutputs(cluster)).instance_connect_endpoint_id).toBe(own?.id);
    const nodes = state.get('aws_security_group.nodes')?.id;
    const group = state.get('aws_security_group.endpoint[0]')?.id;
    expect(own?.security_group_ids).toEqual([group]);
    const { rules } = lab.aws.tables;
    const list = (of: unknown, egress: boolean) =>
      Object.values(rules)
        .filter((rule) => rule.group === of && rule.egress === egress && rule.from !== 5432)
        .map(({ referencedGroup, cidrIpv4, from, to }) => [referencedGroup ?? cidrIpv4, from, to]);
    expect(list(nodes, false)).toEqual([[group, 22, 22]]);
    expect(list(group, true)).toEqual([[nodes, 22, 22]]);
    expect(list(group, false)).toEqual([]);
    expect(await count(cluster, ENDPOINT)).toEqual({});
  });

  test('keeps the endpoint where it is, whatever zone a new node would get', async () => {
    expect(await count(cluster, { ...ENDPOINT, avoid_zones: ['us-east-1a'] })).toEqual({});
    expect(await count(cluster, { ...ENDPOINT, instance_type: 't3.large' })).toEqual({
      'update aws_instance.node': 2,
    });
  });

  test('places only new nodes by avoid_zones', async () => {
    const values = { ...ENDPOINT, replica_count: 2, avoid_zones: ['us-east-1a', 'us-east-1c'] };
    await applyValues(cluster, values);
    const nodes = (await readOutputs(cluster)).nodes as { zone: string }[];
    expect(nodes.map(({ zone }) => zone)).toEqual(['us-east-1a', 'us-east-1b', 'us-east-1f']);
    await applyValues(cluster, ENDPOINT);
  });

  test('is refused if no zone is left', async () => {
    const avoid = ['a', 'b', 'c', 'd', 'f'].map((letter) => `us-east-1${letter}`);
    const { errors } = await planValues(await lab.open('none'), { ...NAT, avoid_zones: avoid });
    expect(errors[0]?.detail).toMatch(
      /avoid_zones: us-east-1a, .* Choose another instance_type, other avoid_zones/,
    );
  });

  test('goes back to direct connections', async () => {
    await applyValues(cluster, DIRECT);
    expect(Object.keys(lab.aws.tables.endpoints)).toEqual([]);
    expect(await readOutputs(cluster)).not.toHaveProperty('instance_connect_endpoint_id');
  });

  test('moves behind a NAT gateway: nothing is replaced, and no public address is shown', async () => {
    await applyValues(cluster, ENDPOINT);
    const { changes } = await applyValues(cluster, NAT);
    expect(countChanges(changes)).toEqual({
      'create aws_eip.nat': 1,
      'create aws_nat_gateway.own': 1,
      'create aws_route.public': 1,
      'create aws_route_table.public': 1,
      'create aws_route_table_association.public': 1,
      'create aws_subnet.public': 1,
      'update aws_route.internet': 1,
      'update aws_subnet.own': 6,
    });
    const nodes = (await readOutputs(cluster)).nodes as { public_address: unknown }[];
    expect(nodes.map(({ public_address }) => public_address)).toEqual([null, null]);
    expect(await count(cluster, NAT)).toEqual({});
    await applyValues(cluster, ENDPOINT);
  });
});

test('an existing endpoint is used, and the nodes accept SSH from its groups', async () => {
  const endpoint = 'eice-0a1b2c3d4e5f60718';
  const cluster = await lab.deploy('network', DIRECT);
  const group = (await readState(cluster)).get('aws_security_group.nodes')?.id;
  const given = { ...ENDPOINT, instance_connect_endpoint_id: endpoint };
  const values = { ...given, instance_connect_endpoint_groups: [group] };
  const { changes } = await applyValues(cluster, values);
  expect(countChanges(changes)).toEqual({
    'create aws_vpc_security_group_ingress_rule.endpoint': 1,
    'delete aws_vpc_security_group_ingress_rule.ssh': 1,
  });
  expect((await readOutputs(cluster)).instance_connect_endpoint_id).toBe(endpoint);
  await destroyAll(cluster, values);
});

describe('a private cluster with names', () => {
  const VALUES: Values = { ...NAT, dns_zone_id: 'Z0PRIVATE' };
  let cluster: Workspace;
  beforeAll(async () => {
    cluster = await lab.deploy('private', VALUES);
  }, 120_000);

  test('has no public address but the gateway’s, in the sixteenth part of the VPC', async () => {
    expect(lab.aws.listInstances().map(({ publicIp }) => publicIp)).toEqual([null, null]);
    const state = await readState(cluster);
    expect(state.get('aws_subnet.public[0]')).toMatchObject({
      cidr_block: '10.42.240.0/20',
      map_public_ip_on_launch: false,
    });
    expect(state.get('aws_route.internet[0]')?.nat_gateway_id).toBe(
      state.get('aws_nat_gateway.own[0]')?.id,
    );
    expect(await count(cluster, VALUES)).toEqual({});
    const moved = { ...VALUES, avoid_zones: ['us-east-1a'] };
    expect(await count(cluster, moved)).toEqual({});
  });

  test('has names that follow a replaced node', async () => {
    expect((await readOutputs(cluster)).dns_names).toEqual({
      'node-1': 'node-1.orders.example.internal',
      'node-2': 'node-2.orders.example.internal',
    });
    const [lost] = lab.aws.listInstances().filter(({ name }) => name.endsWith('node-2'));
    await lab.aws.edit(({ instances }) => {
      const instance = instances[lost?.id ?? ''];
      if (instance) instance.protected = false;
    });
    await lab.aws.terminate(lost?.id ?? '');
    await applyValues(cluster, VALUES);
    const address = lab.aws.listInstances().find(({ name }) => name.endsWith('node-2'))?.privateIp;
    const { records } = lab.aws.tables;
    expect(records['Z0PRIVATE_node-2.orders.example.internal_A']).toMatchObject({
      ttl: 30,
      values: [address],
    });
  });

  test.each([
    [
      'Z0PUBLIC',
      /Z0PUBLIC is the public zone example\.com, .* Give the id of a private hosted zone/,
    ],
    ['Z0MISSING', /couldn't find resource/],
  ])('cannot have its names in the zone %s', async (zone, message) => {
    const { errors } = await planValues(cluster, { ...NAT, dns_zone_id: zone });
    expect(`${errors[0]?.summary} ${errors[0]?.detail}`).toMatch(message);
  });

  test('moves to another VPC with its endpoint and its names', async () => {
    const subnets = Object.values(
      await lab.makeSubnets('team', { a: 'us-east-1a', b: 'us-east-1b' }),
    );
    const { changes } = await applyValues(cluster, { ...VALUES, subnet_ids: subnets });
    expect(countChanges(changes)).toMatchObject({
      'replace aws_ec2_instance_connect_endpoint.own': 1,
      'replace aws_instance.node': 2,
      'update aws_route53_record.node': 2,
      'delete aws_nat_gateway.own': 1,
    });
    expect(await count(cluster, { ...VALUES, subnet_ids: subnets })).toEqual({});
    expect((await destroyAll(cluster, { ...VALUES, subnet_ids: subnets })).errors).toEqual([]);
    const { endpoints, natGateways, addresses, records } = lab.aws.tables;
    expect([endpoints, natGateways, addresses, records]).toEqual([{}, {}, {}, {}]);
  });
});

test('an account has five Elastic IPs', async () => {
  await lab.aws.edit(({ addresses }) => {
    for (const number of [1, 2, 3, 4, 5]) {
      const id = `eipalloc-${number}`;
      addresses[id] = { id, region: 'us-east-1', publicIp: `198.51.100.${number}`, tags: {} };
    }
  });
  const cluster = await lab.open('crowded');
  await expect(applyValues(cluster, NAT)).rejects.toThrow(/AddressLimitExceeded: The maximum/);
  await destroyAll(cluster, NAT);
});
