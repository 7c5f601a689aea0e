import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ClusterSpec } from '../../src/cluster/spec.ts';
import {
  attachmentAddress,
  dnsRecordAddress,
  instanceAddress,
  starterAddress,
  volumeAddress,
} from '../../src/terraform/node-changes.ts';
import { renderPlanVariables } from '../../src/terraform/plan-variables.ts';
import { PUBLIC_KEY } from '../templates/workspace.ts';
import { BACKUP_POLICIES } from './backup-policies.ts';
import { Contract, type Recorded } from './contract.ts';
import { BUILDS, nameImage, REGION, ZONE_ID } from './moto.ts';
import { OPTIONAL_POLICIES } from './optional-policies.ts';
import { buildPolicies, listActions, listUnmarked } from './policies.ts';
import { readCalls, writeCalls } from './policy-files.ts';
import { findRealProvider, SKIPPED } from './real-provider.ts';
import { listOpenWrites, listRefusedWrites, ZONE } from './requests.ts';
import { BACKED_UP, BOUNDARY, BOUNDED, CHANGED, FEWER, SPEC } from './specs.ts';

/** Writes that name only an association, which is no thing of its own: nothing can be told from their parameters. */
const UNNAMED = ['ec2:DisassociateRouteTable'];

/** Of the new cluster. */
const NODES = ['node-1', 'node-2'];

const OTHER_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0hjCmpRLxGUPoLYb5CkqWpzZqGWQDj8QfGkD4MO4Yk team';

const real = findRealProvider();
if (real === null) console.warn(`contract skipped: ${SKIPPED}`);

// Each round starts Terraform several times, and waits as long as the provider waits for EC2.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

describe.skipIf(real === null)(
  `the lab's provider plans like the real one${real === null ? ` (skipped: ${SKIPPED})` : ''}`,
  () => {
    let contract: Contract;
    const clusters: Recorded = { plan: [], deploy: [] };
    /** The calls while the cluster has backups. */
    const backups: Recorded = { plan: [], deploy: [] };

    beforeAll(async () => {
      if (real === null) return;
      contract = await Contract.start('contract', real);
      await contract.moto.makeZone(ZONE);
      await contract.aws.edit(({ managedPolicies, hostedZones }) => {
        managedPolicies[BOUNDARY] = '{}';
        hostedZones[ZONE_ID] = { id: ZONE_ID, name: ZONE, isPrivate: true };
      });
      contract.recorded = clusters;
      await contract.open('cluster');
    });

    afterAll(async () => {
      await contract?.stop();
    });

    test('a new cluster', async () => {
      const { differences } = await contract.change(SPEC, PUBLIC_KEY);
      expect(differences).toEqual([]);
    });

    test('nothing to do', async () => {
      expect(await contract.plan(SPEC, PUBLIC_KEY)).toEqual({ differences: [], changes: [] });
    });

    // Each alone first, as one can hide what another does.
    test('a rotated key and a newer image change no node', async () => {
      await contract.moto.call('DeregisterImage', { ImageId: nameImage(BUILDS[1]) });
      contract.aws.publishImage(REGION, '20991231-0001');
      const changes = ['create,delete aws_key_pair.nodes'];
      expect(await contract.plan(SPEC, OTHER_KEY)).toEqual({ differences: [], changes });
    });

    test('another type', async () => {
      const { instanceType } = CHANGED;
      const changes = NODES.map((node) => `update ${instanceAddress(node)}`);
      const planned = await contract.plan({ ...SPEC, instanceType }, PUBLIC_KEY);
      expect(planned).toEqual({ differences: [], changes });
    });

    test('larger volumes', async () => {
      const { storage } = CHANGED;
      const changes = [volumeAddress, instanceAddress].flatMap((address) =>
        NODES.map((node) => `update ${address(node)}`),
      );
      const planned = await contract.plan({ ...SPEC, storage }, PUBLIC_KEY);
      expect(planned).toEqual({ differences: [], changes });
    });

    test('another tag', async () => {
      const { differences, changes } = await contract.plan(
        { ...SPEC, tags: CHANGED.tags },
        PUBLIC_KEY,
      );
      expect(differences).toEqual([]);
      expect(changes.filter((change) => !change.startsWith('update '))).toEqual([]);
    });

    test('all of them, scaled out', async () => {
      const { differences } = await contract.change(CHANGED, OTHER_KEY);
      expect(differences).toEqual([]);
    });

    test('a terminated instance is made again, a stopped one is started', async () => {
      const gone = await contract.both((side) => side.findInstance('node-3'));
      const stopped = await contract.both((side) => side.findInstance('node-2'));
      await contract.moto.call('ModifyInstanceAttribute', {
        InstanceId: gone.real,
        'DisableApiTermination.Value': 'false',
      });
      await contract.moto.call('TerminateInstances', { 'InstanceId.1': gone.real });
      await contract.moto.call('StopInstances', { 'InstanceId.1': stopped.real });
      await contract.aws.terminate(gone.lab);
      await contract.aws.stopInstance(stopped.lab);
      const environment = renderPlanVariables({
        instanceTypes: {},
        keptNodes: [],
        started: ['2'],
      });
      const { differences } = await contract.change(CHANGED, OTHER_KEY, { environment });
      expect(differences).toEqual([]);
    });

    test('a replacement on request, of one node only', async () => {
      const [instance, attachment, name] = [
        instanceAddress('node-1'),
        attachmentAddress('node-1'),
        dnsRecordAddress('node-1'),
      ];
      const targets = [instance, attachment, name].map((address) => `-target=${address}`);
      const args = [`-replace=${instance}`, ...targets];
      const planned = await contract.change(CHANGED, OTHER_KEY, { args });
      const changes = [
        `delete,create ${instance}`,
        `update ${name}`,
        `delete,create ${attachment}`,
      ];
      expect(planned).toEqual({ differences: [], changes });
    });

    // That nothing else is planned shows that the replacement is complete, and that the start of node-2 leaves no trace.
    test('scaled in', async () => {
      const planned = await contract.change(FEWER, OTHER_KEY);
      const gone = [
        volumeAddress('node-3'),
        starterAddress('node-2'),
        instanceAddress('node-3'),
        dnsRecordAddress('node-3'),
        attachmentAddress('node-3'),
      ];
      const changes = gone.map((address) => `delete ${address}`);
      expect(planned).toEqual({ differences: [], changes });
    });

    test('nothing to do when scaled in', async () => {
      expect(await contract.plan(FEWER, OTHER_KEY)).toEqual({ differences: [], changes: [] });
    });

    // moto has no endpoints and no Data Lifecycle Manager, and confuses the rules of clients with others.
    test('an endpoint, a NAT gateway, networks of clients, daily snapshots: planned only', async () => {
      const hidden: ClusterSpec = {
        ...FEWER,
        ssh: { via: 'instance-connect-endpoint', endpointId: null, address: null },
        clientCidrs: ['10.20.0.0/16', '198.51.100.7/32'],
        network: { ...FEWER.network, internetVia: 'nat-gateway' },
        snapshots: { keep: 7, time: '03:00', permissionsBoundary: BOUNDARY },
      };
      const { differences } = await contract.plan(hidden, OTHER_KEY);
      expect(differences).toEqual([]);
    });

    test('a given endpoint: planned only', async () => {
      const endpointId = 'eice-0a1b2c3d4e5f60718';
      const given: ClusterSpec = {
        ...FEWER,
        ssh: { via: 'instance-connect-endpoint', endpointId, address: null },
      };
      const environment = { TF_VAR_instance_connect_endpoint_groups: '["sg-0a1b2c3d4e5f60718"]' };
      const { differences } = await contract.plan(given, OTHER_KEY, { environment });
      expect(differences).toEqual([]);
    });

    test('backups, on running nodes', async () => {
      contract.recorded = backups;
      const { differences } = await contract.change(BACKED_UP, OTHER_KEY);
      expect(differences).toEqual([]);
    });

    test('a boundary for the role, and another repository to read', async () => {
      const { differences } = await contract.change(BOUNDED, OTHER_KEY);
      expect(differences).toEqual([]);
    });

    test('nothing to do with backups', async () => {
      expect(await contract.plan(BOUNDED, OTHER_KEY)).toEqual({ differences: [], changes: [] });
    });

    test('backups taken away', async () => {
      const { differences } = await contract.change(FEWER, OTHER_KEY);
      expect(differences).toEqual([]);
      contract.recorded = clusters;
    });

    test('removed', async () => {
      const args = ['-destroy'];
      const { differences } = await contract.change(FEWER, OTHER_KEY, { args });
      expect(differences).toEqual([]);
    });

    test('a new cluster with backups: planned only', async () => {
      await contract.open('another');
      contract.recorded = backups;
      const { differences } = await contract.plan(BOUNDED, PUBLIC_KEY);
      expect(differences).toEqual([]);
    });

    test('the policies allow what was called', () => {
      const more = (all: readonly string[], known: readonly string[]) =>
        all.filter((action) => !known.includes(action));
      const all = {
        plan: listActions([...clusters.plan, ...backups.plan]),
        deploy: listActions([...clusters.deploy, ...backups.deploy]),
      };
      const isName = (action: string) => action.startsWith('route53:');
      const dns = { plan: all.plan.filter(isName), deploy: all.deploy.filter(isName) };
      const plan = more(listActions(clusters.plan), dns.plan);
      const deploy = more(listActions(clusters.deploy), dns.deploy);
      const calls = {
        plan,
        deploy,
        backups: {
          plan: more(all.plan, [...plan, ...dns.plan]),
          deploy: more(all.deploy, [...deploy, ...dns.deploy]),
        },
        dns,
      };
      if (process.env.LAB_RECORD_CALLS) writeCalls(calls);
      expect(calls).toEqual(readCalls());
      expect(listUnmarked([...clusters.deploy, ...backups.deploy], SPEC.name)).toEqual([]);
    });

    test('the policies allow each write on the things of the cluster, and no write on others', () => {
      const { deploy, 'deploy-create': create } = buildPolicies(readCalls());
      const { 'deploy-backup': backup } = BACKUP_POLICIES;
      const { 'deploy-dns': names } = OPTIONAL_POLICIES;
      const own = [deploy, create, names].filter((policy) => policy !== undefined);
      const all = [...own, backup];
      const cluster = SPEC.name;
      expect(listRefusedWrites(clusters.deploy, { policies: own, cluster })).toEqual([]);
      expect(listRefusedWrites(backups.deploy, { policies: all, cluster })).toEqual([]);
      expect(listOpenWrites([...clusters.deploy, ...backups.deploy], all)).toEqual(UNNAMED);
    });
  },
);
