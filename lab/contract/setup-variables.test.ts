import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorkspace, planValues, type Workspace } from '../templates/workspace.ts';

const VARIABLES = join(import.meta.dirname, '../../setup/aws/variables.tf');
const ACCOUNT = '123456789012';
const VALUES = {
  repositories: ['me/databases', 'me@583231/databases@1296269'],
  clusters: ['orders'],
  region: 'eu-west-1',
  state_bucket: 'my-states',
};

const folder = mkdtempSync(join(tmpdir(), 'pgca-setup-variables-'));
let workspace: Workspace;

// The variables alone need no provider.
beforeAll(async () => {
  const files = { 'variables.tf': readFileSync(VARIABLES, 'utf8') };
  workspace = await openWorkspace({ directory: folder, reattach: '{}', files });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('good values are accepted', async () => {
  const given = {
    ...VALUES,
    oidc_provider_arn: `arn:aws:iam::${ACCOUNT}:oidc-provider/token.actions.githubusercontent.com`,
    state_kms_key_arn: `arn:aws:kms:eu-west-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
    subnet_ids: ['subnet-0a1b'],
    vpc_ids: ['vpc-0a1b'],
    instance_connect_endpoint_ids: ['eice-0a1b'],
    dns_zone_id: 'Z0123456789ABCDEFGHIJ',
    node_role_arns: [`arn:aws:iam::${ACCOUNT}:role/postgres-nodes`],
    backup_bucket: 'my-backups',
    create_backup_bucket: false,
    backup_prefix: 'postgres/production',
    backup_kms_key_arn: `arn:aws:kms:eu-west-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
    backup_deleted_days: 90,
    backup_lock_days: 14,
    snapshots: true,
  };
  expect((await planValues(workspace, VALUES)).errors).toEqual([]);
  expect((await planValues(workspace, given)).errors).toEqual([]);
});

test.each([
  ['repositories', ['me/*']],
  ['repositories', ['*/databases']],
  ['repositories', ['me/databases:environment:x']],
  ['repositories', ['me@1/databases']],
  ['repositories', []],
  ['plan_environments', ['*']],
  ['deploy_environments', ['prod?']],
  ['clusters', ['orders*']],
  ['clusters', ['orders","*']],
  ['clusters', []],
  ['state_prefix', '*'],
  ['state_prefix', '../x/'],
  ['state_bucket', 'STATES'],
  ['state_kms_key_arn', `arn:aws:kms:eu-west-1:${ACCOUNT}:key/*`],
  ['backup_bucket', 'my.backups'],
  ['backup_prefix', '*'],
  ['backup_prefix', 'a/'],
  ['backup_kms_key_arn', '*'],
  ['backup_deleted_days', 0],
  ['backup_lock_days', 0.5],
  ['oidc_provider_arn', `arn:aws:iam::${ACCOUNT}:oidc-provider/evil.example`],
  ['deploy_session_seconds', 900],
  ['subnet_ids', ['*']],
  ['vpc_ids', ['*']],
  ['instance_connect_endpoint_ids', ['*']],
  ['dns_zone_id', '*'],
  ['node_role_arns', [`arn:aws:iam::${ACCOUNT}:role/*`]],
  ['volume_kms_key_arns', ['*']],
  ['region', 'everywhere'],
])('%s = %j is refused, and the message says what is allowed', async (name, value) => {
  const { errors } = await planValues(workspace, { ...VALUES, [name]: value });
  expect(errors.map(({ detail }) => detail)).toEqual([
    expect.stringMatching(new RegExp(`^${name} must be `)),
  ]);
});
