import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Tags } from '../../aws/world.ts';
import { type Lab, openLab } from '../../templates/lab.ts';
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
} from '../../templates/workspace.ts';

// A cluster from its first plan to its end, applied step by step.

const BASE: Values = {
  cluster_name: 'orders',
  region: 'us-east-1',
  instance_type: 't3.medium',
  replica_count: 2,
  ssh_public_key: PUBLIC_KEY,
};

interface Node {
  readonly name: string;
  readonly instance_id: string;
  readonly volume_id: string;
  readonly zone: string;
  readonly private_address: string;
  readonly public_address: string | null;
}

let lab: Lab;
let cluster: Workspace;

async function readNodes(workspace: Workspace = cluster): Promise<Node[]> {
  return (await readOutputs(workspace)).nodes as Node[];
}

beforeAll(async () => {
  lab = await openLab('templates-life');
  cluster = await lab.open('cluster');
}, 120_000);

afterAll(() => lab.close());

describe('a cluster', () => {
  test('starts with three equal nodes and nothing else', async () => {
    const { changes, errors, warnings } = await planValues(cluster, BASE);
    expect([...errors, ...warnings]).toEqual([]);
    expect(countChanges(changes)).toEqual({
      'create aws_ebs_volume.data': 3,
      'create aws_instance.node': 3,
      'create aws_volume_attachment.data': 3,
      'create aws_key_pair.nodes': 1,
      'create aws_security_group.nodes': 1,
      'create aws_vpc_security_group_egress_rule.all': 1,
      'create aws_vpc_security_group_ingress_rule.replication': 1,
      'create aws_vpc.own': 1,
      'create aws_subnet.own': 6,
      'create aws_internet_gateway.own': 1,
      'create aws_route_table.own': 1,
      'create aws_route.internet': 1,
      'create aws_route_table_association.own': 6,
    });
  });

  test('is created as planned, one node per zone, and then does not change', async () => {
    await applyValues(cluster, BASE);
    const outputs = await readOutputs(cluster);
    expect(outputs).toMatchObject({
      cluster_name: 'orders',
      region: 'us-east-1',
      architecture: 'x86_64',
      instance_memory_mib: 4096,
    });
    const nodes = await readNodes();
    expect(nodes.map(({ name, zone }) => `${name} ${zone}`)).toEqual([
      'node-1 us-east-1a',
      'node-2 us-east-1b',
      'node-3 us-east-1c',
    ]);
    expect(nodes).toEqual(
      nodes.map(() =>
        expect.objectContaining({
          instance_id: expect.stringMatching(/^i-[0-9a-f]{17}$/),
          instance_type: 't3.medium',
          volume_id: expect.stringMatching(/^vol-[0-9a-f]{17}$/),
          private_address: expect.stringMatching(/^10\.42\./),
          public_address: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
        }),
      ),
    );
    expect((await planValues(cluster, BASE)).changes).toEqual([]);
  });

  test('is protected and encrypted', async () => {
    const state = await readState(cluster);
    for (const key of ['1', '2', '3']) {
      const instance = state.get(`aws_instance.node["${key}"]`);
      expect(instance).toMatchObject({
        disable_api_termination: true,
        force_destroy: true,
        instance_initiated_shutdown_behavior: 'stop',
        monitoring: false,
        metadata_options: [
          {
            http_endpoint: 'enabled',
            http_tokens: 'required',
            http_put_response_hop_limit: 1,
            instance_metadata_tags: 'disabled',
          },
        ],
        root_block_device: [
          { volume_type: 'gp3', volume_size: 16, encrypted: true, delete_on_termination: true },
        ],
      });
      expect(instance?.user_data ?? '').toBe('');
      expect(state.get(`aws_ebs_volume.data["${key}"]`)).toMatchObject({
        type: 'gp3',
        size: 20,
        encrypted: true,
        final_snapshot: true,
        timeouts: { delete: '3h' },
      });
    }
  });

  test('has its tags on every resource', async () => {
    for (const [address, { tags_all: tags }] of await readState(cluster)) {
      if (tags === undefined || address.startsWith('data.')) continue;
      expect(tags, address).toMatchObject({
        Cluster: 'orders',
        ManagedBy: 'postgres-cluster-action',
      });
      expect((tags as { Name: string }).Name, address).toMatch(/^orders/);
    }
    const node = { Node: 'node-2' };
    const state = await readState(cluster);
    expect(state.get('aws_instance.node["2"]')).toMatchObject({
      tags_all: { ...node, Name: 'orders-node-2' },
      root_block_device: [{ tags_all: { ...node, Name: 'orders-node-2-root' } }],
    });
    expect(state.get('aws_ebs_volume.data["2"]')).toMatchObject({
      tags_all: { ...node, Name: 'orders-node-2-data', Architecture: 'x86_64' },
    });
  });

  test('opens only the requested ports', async () => {
    const open = async () =>
      [...(await readState(cluster))]
        .filter(([address]) => address.startsWith('aws_vpc_security_group_ingress_rule.'))
        .map(
          ([, rule]) =>
            `${rule.from_port}-${rule.to_port}/${rule.ip_protocol} ${rule.cidr_ipv4 ?? 'nodes'}`,
        )
        .sort();
    expect(await open()).toEqual(['5432-5432/tcp nodes']);
    await applyValues(cluster, {
      ...BASE,
      ssh_cidrs: ['203.0.113.7/32'],
      client_cidrs: ['10.20.0.0/16', '10.21.0.0/16'],
    });
    expect(await open()).toEqual([
      '22-22/tcp 203.0.113.7/32',
      '5432-5432/tcp 10.20.0.0/16',
      '5432-5432/tcp 10.21.0.0/16',
      '5432-5432/tcp nodes',
    ]);
    await applyValues(cluster, BASE);
    expect(await open()).toEqual(['5432-5432/tcp nodes']);
  });

  test('recreates a terminated instance in the zone of its data', async () => {
    const before = await readNodes();
    await lab.aws.terminate(before[1]?.instance_id ?? '');
    await lab.setZones('us-east-1', 'fedcba');
    const { changes } = await applyValues(cluster, BASE);
    expect(countChanges(changes)).toEqual({
      'create aws_instance.node': 1,
      'create aws_volume_attachment.data': 1,
    });
    const after = await readNodes();
    expect(after[1]).toMatchObject({ volume_id: before[1]?.volume_id, zone: 'us-east-1b' });
    expect(after[1]?.instance_id).not.toBe(before[1]?.instance_id);
    expect([after[0], after[2]]).toEqual([before[0], before[2]]);
    expect((await planValues(cluster, BASE)).changes).toEqual([]);
    await lab.setZones('us-east-1', null);
  });

  test('moves to another network with its data', async () => {
    const before = await readNodes();
    await applyValues(cluster, { ...BASE, vpc_cidr: '10.50.0.0/16' });
    const after = await readNodes();
    expect(after.map(({ volume_id, zone }) => ({ volume_id, zone }))).toEqual(
      before.map(({ volume_id, zone }) => ({ volume_id, zone })),
    );
    expect(after.map(({ private_address: address }) => address.split('.')[1])).toEqual([
      '50',
      '50',
      '50',
    ]);
    await applyValues(cluster, BASE);
    expect((await planValues(cluster, BASE)).changes).toEqual([]);
  });

  test('is renamed in place', async () => {
    const before = await readNodes();
    await applyValues(cluster, { ...BASE, cluster_name: 'sales' });
    expect((await readNodes()).map(({ instance_id }) => instance_id)).toEqual(
      before.map(({ instance_id }) => instance_id),
    );
    await applyValues(cluster, BASE);
  });

  test('removes exactly its last node, whose data is kept in a snapshot', async () => {
    const before = await readNodes();
    const { changes } = await applyValues(cluster, { ...BASE, replica_count: 1 });
    expect(changes.map(({ action, address }) => `${action} ${address}`).sort()).toEqual([
      'delete aws_ebs_volume.data["3"]',
      'delete aws_instance.node["3"]',
      'delete aws_volume_attachment.data["3"]',
    ]);
    expect(await readNodes()).toEqual(before.slice(0, 2));
    const snapshots = Object.values(lab.aws.tables.snapshots);
    expect(snapshots.map(({ volume }) => volume)).toEqual([before[2]?.volume_id]);
  });
});

describe('a change outside Terraform', () => {
  test('does not replace a stopped instance', async () => {
    const before = await readNodes();
    await lab.aws.stopInstance(before[0]?.instance_id ?? '');
    expect((await planValues(cluster, { ...BASE, replica_count: 1 })).changes).toEqual([]);
    await lab.aws.startInstance(before[0]?.instance_id ?? '');
  });

  test('moves a node that lost its data to the zone where its volume is created', async () => {
    const { a, b, c } = await lab.makeSubnets('team', {
      a: 'us-east-1a',
      b: 'us-east-1b',
      c: 'us-east-1c',
    });
    const values = { ...BASE, cluster_name: 'guest', replica_count: 1 };
    const guest = await lab.deploy('guest', { ...values, subnet_ids: [b, c] });
    const [before, other] = await readNodes(guest);
    expect(before?.zone).toBe('us-east-1b');
    await lab.aws.edit(({ volumes }) => {
      delete volumes[before?.volume_id ?? ''];
    });
    await applyValues(guest, { ...values, subnet_ids: [a, b, c] });
    const [after, untouched] = await readNodes(guest);
    expect(after?.zone).toBe('us-east-1a');
    expect(untouched).toEqual(other);
    const machine = lab.aws.listInstances().find(({ id }) => id === after?.instance_id);
    expect(machine?.volumes).toEqual([after?.volume_id]);
  });
});

describe('a destroy', () => {
  test('leaves only the last snapshots', async () => {
    expect((await destroyAll(cluster, { ...BASE, replica_count: 1 })).errors).toEqual([]);
    const { instances, volumes, vpcs, keyPairs, snapshots } = lab.aws.tables;
    const rest = [instances, volumes, vpcs, keyPairs].flatMap((table) =>
      Object.values<{ tags: Tags }>(table),
    );
    expect(rest.filter(({ tags }) => tags.Cluster === 'orders')).toEqual([]);
    expect(Object.keys(snapshots)).toHaveLength(3);
  });
});

describe('the instance type', () => {
  test('determines the image', async () => {
    const workspace = await lab.deploy('graviton', {
      ...BASE,
      cluster_name: 'graviton',
      instance_type: 't4g.small',
    });
    expect((await readOutputs(workspace)).architecture).toBe('arm64');
    const image = (await readState(workspace)).get('data.aws_ami.debian');
    expect(image).toMatchObject({
      architecture: 'arm64',
      name: expect.stringMatching(/^debian-13-arm64-/),
    });
    expect((await readState(workspace)).get('aws_instance.node["1"]')?.ami).toBe(image?.id);
  });

  test('determines the zones', async () => {
    const wide = { ...BASE, cluster_name: 'wide', replica_count: 5 };
    const zones = async (workspace: Workspace) =>
      (await readNodes(workspace)).map(({ zone }) => zone.at(-1)).join('');
    // The emulator's us-east-1e has no type newer than t2, like several real zones.
    expect(await zones(await lab.deploy('wide', wide))).toBe('abcdfa');
    const old = await lab.deploy('old', {
      ...wide,
      cluster_name: 'old',
      instance_type: 't2.small',
    });
    expect(await zones(old)).toBe('abcdef');
    const { errors } = await planValues(old, {
      ...wide,
      cluster_name: 'old',
      instance_type: 't3.medium',
    });
    expect(errors.map(({ detail }) => detail)).toEqual([
      expect.stringContaining(
        'The data of node-5 lies in zone us-east-1e, which does not offer instance_type t3.medium',
      ),
    ]);
    // A node to be removed does not block the change while it still exists.
    const smaller = { ...wide, cluster_name: 'old', instance_type: 't3.medium', replica_count: 3 };
    const types = Object.fromEntries([1, 2, 3, 4, 5, 6].map((number) => [number, 't2.small']));
    const staged = { ...smaller, node_instance_types: types, kept_nodes: ['5', '6'] };
    expect(await planValues(old, staged)).toMatchObject({ changes: [], errors: [] });
    expect(countChanges((await planValues(old, smaller)).changes)).toMatchObject({
      'update aws_instance.node': 4,
      'delete aws_instance.node': 2,
    });
  });
});
