import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type State, startState, stopState } from '../state/state.ts';
import type { PlanDocument } from './compare.ts';
import { isAllowed, type Request } from './evaluate.ts';
import { findRealProvider, SKIPPED, writeCliConfig } from './real-provider.ts';
import { connectServices, readModule } from './setup-module.ts';
import { Side } from './side.ts';
import type { Policy } from './statements.ts';

const WORLD = 'setup';
const ACCOUNT = '123456789012';

/** moto answers these otherwise than it was asked, and the provider waits until both are equal. They are only planned. */
const NOT_IN_MOTO = [
  'state.tf aws_s3_bucket_lifecycle_configuration.state',
  'backup.tf aws_s3_bucket_lifecycle_configuration.backups',
];

const VALUES = {
  repositories: ['me/databases', 'me@583231/databases@1296269'],
  clusters: ['orders', 'billing'],
  region: 'eu-west-1',
  state_bucket: 'my-states',
};

const real = findRealProvider();
if (real === null) console.warn(`setup/aws skipped: ${SKIPPED}`);

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

describe.skipIf(real === null)(`setup/aws${real === null ? ` (skipped: ${SKIPPED})` : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgca-setup-'));
  let aws: State;
  let services: ReturnType<typeof connectServices>;

  const open = async (name: string, files: ReadonlyMap<string, string>): Promise<Side> => {
    if (real === null) throw new Error(SKIPPED);
    mkdirSync(join(folder, name, 'policies'), { recursive: true });
    const side = new Side(join(folder, name), files, {
      AWS_ENDPOINT_URL: aws.endpoint,
      AWS_ACCESS_KEY_ID: 'lab',
      AWS_SECRET_ACCESS_KEY: 'lab',
      AWS_REGION: VALUES.region,
      AWS_EC2_METADATA_DISABLED: 'true',
      TF_CLI_CONFIG_FILE: writeCliConfig(folder, real),
    });
    await side.init();
    return side;
  };
  const plan = async (side: Side, values: object = {}, args: string[] = []) => {
    await side.plan({ tfvars: JSON.stringify({ ...VALUES, ...values }), args });
    return side.show();
  };
  const listChanged = ({ resource_changes: changes = [] }: PlanDocument) =>
    changes
      .filter(({ change }) => !['no-op', 'read'].includes(change.actions.join()))
      .map(({ address, change }) => `${change.actions.join('+')} ${address}`);

  const readPolicy = async (PolicyArn: string): Promise<Policy> => {
    const policy = await services.askIam('GetPolicy', { PolicyArn });
    const VersionId = /<DefaultVersionId>(.*?)</.exec(policy)?.[1] ?? '';
    const version = await services.askIam('GetPolicyVersion', { PolicyArn, VersionId });
    return services.readDocument(version, 'Document');
  };
  /** The policies that IAM has for a role. */
  const readPolicies = async (role: string): Promise<Policy[]> => {
    const attached = await services.askIam('ListAttachedRolePolicies', {
      RoleName: `postgres-cluster-${role}`,
    });
    const arns = [...attached.matchAll(/<PolicyArn>(.*?)<\/PolicyArn>/g)].map(
      ([, arn = '']) => arn,
    );
    return Promise.all(arns.map(readPolicy));
  };
  /** Whether a role trusts a job's token. */
  const isTrusted = async (role: string, sub: string, aud = 'sts.amazonaws.com') => {
    const xml = await services.askIam('GetRole', { RoleName: `postgres-cluster-${role}` });
    const { Version, Statement } = services.readDocument(xml, 'AssumeRolePolicyDocument');
    const statements = Statement.map(({ Principal, Action, ...rest }: Record<string, unknown>) => {
      const issuer = `arn:aws:iam::${ACCOUNT}:oidc-provider/token.actions.githubusercontent.com`;
      expect(Principal).toEqual({ Federated: issuer });
      return { ...rest, Action: [Action], Resource: ['*'] };
    });
    return isAllowed([{ Version, Statement: statements }], {
      action: 'sts:AssumeRoleWithWebIdentity',
      resource: '*',
      context: {
        'token.actions.githubusercontent.com:aud': aud,
        'token.actions.githubusercontent.com:sub': sub,
      },
    });
  };

  beforeAll(async () => {
    if (real === null) return;
    aws = await startState({ world: WORLD });
    services = connectServices(aws.endpoint);
  });

  afterAll(async () => {
    await stopState({ world: WORLD });
    rmSync(folder, { recursive: true, force: true });
  });

  test('everything is planned', async () => {
    const side = await open('planned', readModule());
    const planned = await plan(side);
    expect(listChanged(planned).sort()).toEqual(
      [
        'aws_iam_openid_connect_provider.github[0]',
        ...['plan', 'deploy'].map((role) => `aws_iam_role.github["${role}"]`),
        ...['plan', 'deploy', 'deploy-create'].flatMap((name) => [
          `aws_iam_policy.github["${name}"]`,
          `aws_iam_role_policy_attachment.github["${name}"]`,
        ]),
        ...[
          'aws_s3_bucket',
          'aws_s3_bucket_lifecycle_configuration',
          'aws_s3_bucket_policy',
          'aws_s3_bucket_public_access_block',
          'aws_s3_bucket_server_side_encryption_configuration',
          'aws_s3_bucket_versioning',
        ].map((type) => `${type}.state["state"]`),
      ]
        .map((address) => `create ${address}`)
        .sort(),
    );
    const rule = planned.resource_changes?.find(({ address }) =>
      address.startsWith('aws_s3_bucket_lifecycle_configuration'),
    );
    expect(rule?.change.after).toMatchObject({
      rule: [{ status: 'Enabled', noncurrent_version_expiration: [{ noncurrent_days: 90 }] }],
    });
  });

  test('a bucket for backups is planned with its settings', async () => {
    const side = await open('backups', readModule());
    const before = listChanged(await plan(side));
    const planned = await plan(side, { backup_bucket: 'my-backups', backup_lock_days: 7 });
    const more = listChanged(planned).filter((line) => !before.includes(line));
    expect(more.sort()).toEqual(
      [
        'aws_iam_policy.github["deploy-backup"]',
        'aws_iam_policy.github["plan-backup"]',
        'aws_iam_policy.nodes["nodes"]',
        'aws_iam_role_policy_attachment.github["deploy-backup"]',
        'aws_iam_role_policy_attachment.github["plan-backup"]',
        ...[
          'aws_s3_bucket',
          'aws_s3_bucket_lifecycle_configuration',
          'aws_s3_bucket_object_lock_configuration',
          'aws_s3_bucket_policy',
          'aws_s3_bucket_public_access_block',
          'aws_s3_bucket_server_side_encryption_configuration',
          'aws_s3_bucket_versioning',
        ].map((type) => `${type}.backups["backups"]`),
      ]
        .map((address) => `create ${address}`)
        .sort(),
    );
    const find = (type: string) =>
      planned.resource_changes?.find(({ address }) => address === `${type}.backups["backups"]`)
        ?.change.after;
    expect(find('aws_s3_bucket_lifecycle_configuration')).toMatchObject({
      rule: [
        {
          status: 'Enabled',
          noncurrent_version_expiration: [{ noncurrent_days: 30 }],
          abort_incomplete_multipart_upload: [{ days_after_initiation: 7 }],
        },
      ],
    });
    expect(find('aws_s3_bucket_object_lock_configuration')).toMatchObject({
      rule: [{ default_retention: [{ mode: 'GOVERNANCE', days: 7 }] }],
    });
    expect(find('aws_s3_bucket_public_access_block')).toMatchObject({ block_public_policy: true });
    const given = await plan(side, { backup_bucket: 'my-backups', create_backup_bucket: false });
    expect(listChanged(given).filter((line) => line.includes('.backups['))).toEqual([]);
    expect(listChanged(given)).toContain('create aws_iam_policy.nodes["nodes"]');
  });

  test('snapshots are planned with the boundary of their roles', async () => {
    const side = await open('snapshots', readModule());
    const planned = await plan(side, { snapshots: true });
    expect(listChanged(planned).filter((line) => line.includes('snapshots'))).toEqual(
      [
        'aws_iam_policy.github["deploy-snapshots"]',
        'aws_iam_policy.github["plan-snapshots"]',
        'aws_iam_policy.snapshots["snapshots"]',
        'aws_iam_role_policy_attachment.github["deploy-snapshots"]',
        'aws_iam_role_policy_attachment.github["plan-snapshots"]',
      ].map((address) => `create ${address}`),
    );
    const read = (address: string): Policy =>
      JSON.parse(
        String(
          planned.resource_changes?.find((one) => one.address === address)?.change.after?.policy,
        ),
      );
    const make = (boundary: string, name: string) =>
      isAllowed([read('aws_iam_policy.github["deploy-snapshots"]')], {
        action: 'iam:CreateRole',
        resource: `arn:aws:iam::${ACCOUNT}:role/postgres-cluster/${name}-eu-west-1-dlm`,
        context: { 'iam:PermissionsBoundary': `arn:aws:iam::${ACCOUNT}:policy/${boundary}` },
      });
    expect(make('postgres-cluster-snapshots', 'orders')).toBe(true);
    expect(make('postgres-cluster-snapshots', 'other')).toBe(false);
    expect(make('postgres-cluster-nodes', 'orders')).toBe(false);
    const bounds = [read('aws_iam_policy.snapshots["snapshots"]')];
    const use = (
      action: string,
      kind: string,
      tag: string,
      value: string,
      dlm: Record<string, string> = {
        'aws:ResourceTag/aws:dlm:lifecycle-policy-id': 'policy-0a1b2c3d4e5f60718',
      },
    ) =>
      isAllowed(bounds, {
        action,
        resource: `arn:aws:ec2:eu-west-1::${kind}/x`,
        context: { ...dlm, [`aws:ResourceTag/${tag}`]: value },
      });
    expect(use('ec2:CreateSnapshot', 'volume', 'SnapshotsOf', 'orders')).toBe(true);
    expect(use('ec2:CreateSnapshot', 'volume', 'SnapshotsOf', 'other')).toBe(false);
    expect(use('ec2:DeleteSnapshot', 'snapshot', 'Cluster', 'billing')).toBe(true);
    expect(use('ec2:DeleteSnapshot', 'snapshot', 'Cluster', 'other')).toBe(false);
    // A last snapshot, which DLM did not make.
    expect(use('ec2:DeleteSnapshot', 'snapshot', 'Cluster', 'billing', {})).toBe(false);
    expect(use('ec2:DeleteVolume', 'volume', 'Cluster', 'orders')).toBe(false);
  });

  test('another region than the provider, and one environment for both roles, are refused', async () => {
    const side = await open('refused', readModule());
    const refused = plan(side, { region: 'us-east-1', plan_environments: ['production'] });
    const message = (await refused.then(String, String)).replace(/\s+/g, ' ');
    expect(message).toContain('Set AWS_REGION=us-east-1.');
    expect(message).toContain('a plan could deploy.');
  });

  describe('applied', () => {
    let side: Side;
    let policies: { readonly plan: Policy[]; readonly deploy: Policy[] };
    const may = (role: 'plan' | 'deploy', request: Request) => isAllowed(policies[role], request);
    const state = (key: string) => `arn:aws:s3:::my-states/${key}`;

    beforeAll(async () => {
      if (real === null) return;
      side = await open('applied', readModule(NOT_IN_MOTO));
      await plan(side);
      await side.apply();
      policies = { plan: await readPolicies('plan'), deploy: await readPolicies('deploy') };
    });

    test('a second plan changes nothing', async () => {
      expect(listChanged(await plan(side))).toEqual([]);
    });

    test('a role trusts the jobs of its environment, and no others', async () => {
      const subjects = [
        'repo:me/databases:environment:plan',
        'repo:me@583231/databases@1296269:environment:plan',
        'repo:me/databases:environment:production',
        'repo:me@583231/databases@1296269:environment:production',
        'repo:me/databases:environment:planning',
        'repo:me/other:environment:plan',
        'repo:me/databases:pull_request',
        'repo:me/databases:ref:refs/heads/main',
        'repo:me/databases:environment:*',
      ];
      const trusted = async (role: string) => {
        const answers = await Promise.all(subjects.map((sub) => isTrusted(role, sub)));
        return subjects.filter((_, index) => answers[index]);
      };
      expect(await trusted('plan')).toEqual(subjects.slice(0, 2));
      expect(await trusted('deploy')).toEqual(subjects.slice(2, 4));
      expect(await isTrusted('plan', subjects[0] ?? '', 'https://github.com/me')).toBe(false);
    });

    test('a session of the deploy role outlives the job', async () => {
      const role = await services.askIam('GetRole', { RoleName: 'postgres-cluster-deploy' });
      expect(role).toContain('<MaxSessionDuration>7200<');
    });

    test('the plan role reads the states, the deploy role writes them and their locks', () => {
      const keys = [
        'postgres/orders.tfstate',
        'postgres/billing.tfstate',
        'postgres/other.tfstate',
      ];
      const allowed = (role: 'plan' | 'deploy', action: string, end = '') =>
        keys.filter((key) => may(role, { action, resource: state(`${key}${end}`) }));
      const own = keys.slice(0, 2);
      expect(allowed('plan', 's3:GetObject')).toEqual(own);
      expect(allowed('plan', 's3:PutObject')).toEqual([]);
      expect(allowed('plan', 's3:PutObject', '.tflock')).toEqual([]);
      expect(allowed('deploy', 's3:PutObject')).toEqual(own);
      expect(allowed('deploy', 's3:DeleteObject')).toEqual([]);
      expect(allowed('deploy', 's3:DeleteObject', '.tflock')).toEqual(own);
    });

    test('the roles change and reach only what bears the name of a cluster', () => {
      const arn = (kind: string) => `arn:aws:ec2:eu-west-1:${ACCOUNT}:${kind}/x`;
      const ask = (role: 'plan' | 'deploy', action: string, kind: string, cluster: string) =>
        may(role, {
          action,
          resource: arn(kind),
          context: {
            'aws:ResourceTag/Cluster': cluster,
            'ec2-instance-connect:remotePort': '22',
            'ec2-instance-connect:maxTunnelDuration': '3600',
          },
        });
      const clusters = ['orders', 'billing', 'other'];
      const stop = (role: 'plan' | 'deploy') =>
        clusters.filter((name) => ask(role, 'ec2:StopInstances', 'instance', name));
      const connect = (role: 'plan' | 'deploy') =>
        clusters.filter((name) =>
          ask(role, 'ec2-instance-connect:OpenTunnel', 'instance-connect-endpoint', name),
        );
      expect([stop('plan'), stop('deploy')]).toEqual([[], ['orders', 'billing']]);
      expect([connect('plan'), connect('deploy')]).toEqual([
        ['orders', 'billing'],
        ['orders', 'billing'],
      ]);
    });

    test('nothing is left of the placeholders', () => {
      const text = JSON.stringify(policies);
      expect(text).toContain(`arn:aws:ec2:eu-west-1:${ACCOUNT}:instance/*`);
      expect(text.match(/\b(CLUSTER|REGION|ACCOUNT|STATE-BUCKET|STATE-KEY)\b/)).toBeNull();
    });

    test('the bucket cannot be destroyed by accident', async () => {
      await expect(plan(side, {}, ['-destroy'])).rejects.toThrow('prevent_destroy');
    });

    test('what only some clusters need is added', async () => {
      const created = await services.ask(
        'route53',
        '/2013-04-01/hostedzone',
        '<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Name>internal.example.</Name><CallerReference>1</CallerReference></CreateHostedZoneRequest>',
      );
      const zone = /<Id>\/hostedzone\/(.*?)<\/Id>/.exec(created)?.[1] ?? '';
      const node = `arn:aws:iam::${ACCOUNT}:role/postgres-nodes`;
      const key = `arn:aws:kms:eu-west-1:${ACCOUNT}:key/1234abcd`;
      await plan(side, {
        subnet_ids: ['subnet-1', 'subnet-2'],
        vpc_ids: ['vpc-1'],
        instance_connect_endpoint_ids: ['eice-1'],
        dns_zone_id: zone,
        node_role_arns: [node],
        volume_kms_key_arns: [key],
        state_kms_key_arn: key,
      });
      await side.apply();
      policies = { plan: await readPolicies('plan'), deploy: await readPolicies('deploy') };
      const change = (name: string, type = 'A') =>
        may('deploy', {
          action: 'route53:ChangeResourceRecordSets',
          resource: `arn:aws:route53:::hostedzone/${zone}`,
          context: {
            'route53:ChangeResourceRecordSetsNormalizedRecordNames': [name],
            'route53:ChangeResourceRecordSetsRecordTypes': [type],
          },
        });
      expect(change('node-1.orders.internal.example')).toBe(true);
      expect(change('node-1.orders.internal.example', 'CNAME')).toBe(false);
      expect(change('www.internal.example')).toBe(false);
      const pass = (resource: string, service: string) =>
        may('deploy', {
          action: 'iam:PassRole',
          resource,
          context: { 'iam:PassedToService': service },
        });
      expect(pass(node, 'ec2.amazonaws.com')).toBe(true);
      expect(pass(node, 'lambda.amazonaws.com')).toBe(false);
      expect(pass(`arn:aws:iam::${ACCOUNT}:role/admin`, 'ec2.amazonaws.com')).toBe(false);
      const launch = (subnet: string) =>
        may('deploy', {
          action: 'ec2:RunInstances',
          resource: `arn:aws:ec2:eu-west-1:${ACCOUNT}:subnet/${subnet}`,
        });
      expect(['subnet-1', 'subnet-2', 'subnet-3'].map(launch)).toEqual([true, true, false]);
    });

    test('backups: the roles of the nodes are bounded to the clusters of the module', async () => {
      const key = `arn:aws:kms:eu-west-1:${ACCOUNT}:key/1234abcd`;
      const values = {
        backup_bucket: 'my-backups',
        backup_prefix: 'postgres',
        backup_kms_key_arn: key,
        backup_lock_days: 7,
      };
      await plan(side, values);
      await side.apply();
      expect(listChanged(await plan(side, values))).toEqual([]);
      await expect(plan(side, values, ['-destroy'])).rejects.toThrow('prevent_destroy');
      policies = { plan: await readPolicies('plan'), deploy: await readPolicies('deploy') };
      const boundary = `arn:aws:iam::${ACCOUNT}:policy/postgres-cluster-nodes`;
      const make = (name: string, bounded: string) =>
        may('deploy', {
          action: 'iam:CreateRole',
          resource: `arn:aws:iam::${ACCOUNT}:role/postgres-cluster/${name}`,
          context: { 'iam:PermissionsBoundary': bounded },
        });
      expect(make('orders-eu-west-1-nodes', boundary)).toBe(true);
      expect(make('billing-eu-west-1-nodes', boundary)).toBe(true);
      expect(make('other-eu-west-1-nodes', boundary)).toBe(false);
      expect(make('orders-eu-west-1-nodes', 'arn:aws:iam::aws:policy/AdministratorAccess')).toBe(
        false,
      );
      const bounds = [await readPolicy(boundary)];
      const instance = {
        'ec2:SourceInstanceARN': `arn:aws:ec2:eu-west-1:${ACCOUNT}:instance/i-1`,
      };
      const use = (action: string, resource: string, context: Request['context'] = instance) =>
        isAllowed(bounds, { action, resource, context });
      const object = (path: string) => `arn:aws:s3:::my-backups/postgres/${path}`;
      expect(use('s3:PutObject', object('orders/archive/x'))).toBe(true);
      expect(use('s3:PutObject', object('other/archive/x'))).toBe(false);
      expect(use('s3:PutObject', 'arn:aws:s3:::my-backups/orders/archive/x')).toBe(false);
      // Not with credentials that are no instance's, so not for a deploy role that lets itself assume the role.
      expect(use('s3:PutObject', object('orders/archive/x'), {})).toBe(false);
      expect(use('s3:DeleteObjectVersion', object('orders/archive/x'))).toBe(false);
      expect(use('iam:CreateUser', '*')).toBe(false);
      const list = (prefix: string) =>
        use('s3:ListBucket', 'arn:aws:s3:::my-backups', { ...instance, 's3:prefix': prefix });
      expect([list('postgres/orders/'), list('postgres/'), list('')]).toEqual([true, false, false]);
      const decrypt = (service: string) =>
        use('kms:Decrypt', key, { 'kms:ViaService': `${service}.eu-west-1.amazonaws.com` });
      expect([decrypt('s3'), decrypt('ec2')]).toEqual([true, false]);
    });
  });
});
