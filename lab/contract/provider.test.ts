import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ClusterSpec } from '../../src/cluster/spec.ts';
import { renderTfvars } from '../../src/terraform/generated-files.ts';
import { renderPlanVariables } from '../../src/terraform/plan-variables.ts';
import { type Aws, startAws } from '../aws/main.ts';
import { PUBLIC_KEY } from '../templates/workspace.ts';
import { BACKUP_POLICIES } from './backup-policies.ts';
import { comparePlans } from './compare.ts';
import { EXPLAINED } from './explained.ts';
import type { ApiCall } from './front.ts';
import { BUILDS, type Moto, nameImage, REGION, startMoto } from './moto.ts';
import { buildPolicies, listActions, listUnmarked } from './policies.ts';
import { readCalls, writeCalls } from './policy-files.ts';
import { findRealProvider, readTemplates, SKIPPED, writeCliConfig } from './real-provider.ts';
import { listOpenWrites, listRefusedWrites } from './requests.ts';
import { type PlanOptions, Side } from './side.ts';
import { BACKED_UP, BOUNDARY, BOUNDED, CHANGED, SPEC } from './specs.ts';

const WORLD = 'contract';

/** Writes that name only an association, which is no thing of its own: nothing can be told from their parameters. */
const UNNAMED = ['ec2:DisassociateRouteTable'];

const OTHER_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0hjCmpRLxGUPoLYb5CkqWpzZqGWQDj8QfGkD4MO4Yk team';

const real = findRealProvider();
if (real === null) console.warn(`contract skipped: ${SKIPPED}`);

// Each round starts the real provider several times, and waits as long as it waits for EC2.
interface Recorded {
  readonly plan: ApiCall[];
  readonly deploy: ApiCall[];
}

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

describe.skipIf(real === null)(
  `the lab's provider plans like the real one${real === null ? ` (skipped: ${SKIPPED})` : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgca-contract-'));
    let moto: Moto;
    let aws: Aws;
    const clusters: Recorded = { plan: [], deploy: [] };
    /** The calls while the cluster has backups. */
    const backups: Recorded = { plan: [], deploy: [] };
    let recorded = clusters;
    let sides: { readonly real: Side; readonly lab: Side };

    /** Does the same on both sides at once. */
    const both = async <T>(does: (side: Side) => Promise<T>): Promise<{ real: T; lab: T }> => {
      const [first, second] = await Promise.all([does(sides.real), does(sides.lab)]);
      return { real: first, lab: second };
    };
    /** Plans on both sides, and returns where they differ. */
    const differ = async (tfvars: string, options: Partial<PlanOptions> = {}) => {
      const first = moto.front.calls.length;
      const plans = await both((side) => side.plan({ tfvars, ...options }));
      recorded.plan.push(...moto.front.calls.slice(first));
      return comparePlans(plans, EXPLAINED);
    };
    const apply = async () => {
      const first = moto.front.calls.length;
      await both((side) => side.apply());
      recorded.deploy.push(...moto.front.calls.slice(first));
    };

    /** A directory for each provider, with a state of its own. */
    const open = async (name: string) => {
      if (real === null) throw new Error(SKIPPED);
      sides = {
        real: new Side(join(folder, name, 'real'), readTemplates(real), {
          ...moto.environment,
          TF_CLI_CONFIG_FILE: writeCliConfig(folder, real),
        }),
        lab: new Side(join(folder, name, 'lab'), readTemplates({ version: '6.8.0' }), {
          TF_REATTACH_PROVIDERS: aws.reattach,
        }),
      };
      await both((side) => side.init());
    };

    beforeAll(async () => {
      if (real === null) return;
      aws = await startAws({ world: WORLD, instances: 'none', directory: join(folder, 'world') });
      await aws.edit(({ managedPolicies }) => {
        managedPolicies[BOUNDARY] = '{}';
      });
      moto = await startMoto(WORLD);
      await open('cluster');
    });

    afterAll(async () => {
      await moto?.stop();
      await aws?.destroyEverything();
      rmSync(folder, { recursive: true, force: true });
    });

    test('a new cluster', async () => {
      const differences = await differ(renderTfvars(SPEC, PUBLIC_KEY));
      await apply();
      expect(differences).toEqual([]);
    });

    test('nothing to do', async () => {
      expect(await differ(renderTfvars(SPEC, PUBLIC_KEY))).toEqual([]);
    });

    test('scaled out, another type, larger volumes, a rotated key, another image and tag', async () => {
      await moto.call('DeregisterImage', { ImageId: nameImage(BUILDS[1]) });
      aws.publishImage(REGION, '20991231-0001');
      const differences = await differ(renderTfvars(CHANGED, OTHER_KEY));
      await apply();
      expect(differences).toEqual([]);
    });

    test('a terminated instance is made again, a stopped one is started', async () => {
      const gone = await both((side) => side.findInstance('node-3'));
      const stopped = await both((side) => side.findInstance('node-2'));
      await moto.call('ModifyInstanceAttribute', {
        InstanceId: gone.real,
        'DisableApiTermination.Value': 'false',
      });
      await moto.call('TerminateInstances', { 'InstanceId.1': gone.real });
      await moto.call('StopInstances', { 'InstanceId.1': stopped.real });
      await aws.terminate(gone.lab);
      await aws.stopInstance(stopped.lab);
      const environment = renderPlanVariables({
        instanceTypes: {},
        keptNodes: [],
        started: ['2'],
      });
      const differences = await differ(renderTfvars(CHANGED, OTHER_KEY), { environment });
      await apply();
      expect(differences).toEqual([]);
    });

    test('a replacement on request, of one node only', async () => {
      const args = [
        '-replace=aws_instance.node["1"]',
        '-target=aws_instance.node["1"]',
        '-target=aws_volume_attachment.data["1"]',
      ];
      expect(await differ(renderTfvars(CHANGED, OTHER_KEY), { args })).toEqual([]);
    });

    test('scaled in', async () => {
      const fewer = { ...CHANGED, replicaCount: 1 };
      expect(await differ(renderTfvars(fewer, OTHER_KEY))).toEqual([]);
    });

    // moto has no endpoints and no Data Lifecycle Manager, and confuses the rules of clients with others.
    test('an endpoint, a NAT gateway, networks of clients, daily snapshots: planned only', async () => {
      const hidden: ClusterSpec = {
        ...CHANGED,
        ssh: { via: 'instance-connect-endpoint', endpointId: null, address: null },
        clientCidrs: ['10.20.0.0/16', '198.51.100.7/32'],
        network: { ...CHANGED.network, internetVia: 'nat-gateway' },
        snapshots: { keep: 7, time: '03:00', permissionsBoundary: BOUNDARY },
      };
      expect(await differ(renderTfvars(hidden, OTHER_KEY))).toEqual([]);
    });

    test('a given endpoint: planned only', async () => {
      const endpointId = 'eice-0a1b2c3d4e5f60718';
      const given: ClusterSpec = {
        ...CHANGED,
        ssh: { via: 'instance-connect-endpoint', endpointId, address: null },
      };
      const environment = { TF_VAR_instance_connect_endpoint_groups: '["sg-0a1b2c3d4e5f60718"]' };
      expect(await differ(renderTfvars(given, OTHER_KEY), { environment })).toEqual([]);
    });

    test('backups, on running nodes', async () => {
      recorded = backups;
      const differences = await differ(renderTfvars(BACKED_UP, OTHER_KEY));
      await apply();
      expect(differences).toEqual([]);
    });

    test('a boundary for the role, and another repository to read', async () => {
      const differences = await differ(renderTfvars(BOUNDED, OTHER_KEY));
      await apply();
      expect(differences).toEqual([]);
    });

    test('nothing to do with backups', async () => {
      expect(await differ(renderTfvars(BOUNDED, OTHER_KEY))).toEqual([]);
    });

    test('backups taken away', async () => {
      const differences = await differ(renderTfvars(CHANGED, OTHER_KEY));
      await apply();
      expect(differences).toEqual([]);
      recorded = clusters;
    });

    test('removed', async () => {
      const args = ['-destroy'];
      const differences = await differ(renderTfvars(CHANGED, OTHER_KEY), { args });
      await apply();
      expect(differences).toEqual([]);
    });

    test('a new cluster with backups: planned only', async () => {
      await open('another');
      recorded = backups;
      expect(await differ(renderTfvars(BOUNDED, PUBLIC_KEY))).toEqual([]);
    });

    test('the policies allow what was called', () => {
      const [plan, deploy] = [listActions(clusters.plan), listActions(clusters.deploy)];
      const more = (all: readonly string[], known: readonly string[]) =>
        all.filter((action) => !known.includes(action));
      const calls = {
        plan,
        deploy,
        backups: {
          plan: more(listActions(backups.plan), plan),
          deploy: more(listActions(backups.deploy), deploy),
        },
      };
      if (process.env.LAB_RECORD_CALLS) writeCalls(calls);
      expect(calls).toEqual(readCalls());
      expect(listUnmarked([...clusters.deploy, ...backups.deploy], SPEC.name)).toEqual([]);
    });

    test('the policies allow each write on the things of the cluster, and no write on others', () => {
      const { deploy, 'deploy-create': create } = buildPolicies(readCalls());
      const { 'deploy-backup': backup } = BACKUP_POLICIES;
      const own = [deploy, create];
      const all = [...own, backup];
      const cluster = SPEC.name;
      expect(listRefusedWrites(clusters.deploy, { policies: own, cluster })).toEqual([]);
      expect(listRefusedWrites(backups.deploy, { policies: all, cluster })).toEqual([]);
      expect(listOpenWrites([...clusters.deploy, ...backups.deploy], all)).toEqual(UNNAMED);
    });
  },
);
