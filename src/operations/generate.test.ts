import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ClusterSpec } from '../cluster/spec.ts';
import { createSource, createSpec } from '../cluster/testing/fixtures.ts';
import { generate, regenerate } from './generate.ts';

const templates = join(import.meta.dirname, '../../templates/aws');
const spec = createSpec();
const CANARY: ClusterSpec['rehearsal'] = {
  token: '00000000-0000-4000-8000-000000000000',
  written: '2026-11-26T02:30:00.000000Z',
  ...{ roles: 3, databases: 2, names: 'a'.repeat(64) },
};
const request = { spec, backend: { type: 'local', config: {} } };

let folder: string;
let directory: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'generate-'));
  directory = join(folder, 'terraform');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What Terraform, OpenTofu or Ansible would take for its own if it lay in the directory. */
const PLANTED = [
  'planted.tf',
  'planted.tofu',
  'outputs.tofu',
  'planted.tofu.json',
  'planted.auto.tfvars',
  'outputs_override.tf',
  '.terraform.lock.hcl',
  '.terraform/providers/registry.terraform.io/hashicorp/aws/6.8.0/linux_amd64/terraform-provider-aws',
  'group_vars/all.yml',
  'terraform.tfstate',
];

function plant(): void {
  for (const name of PLANTED) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), '{}');
  }
}

test('the directory contains only what the action wrote', async () => {
  plant();
  const { files } = await generate(request, { directory, templates, publicKey: null });
  expect(readdirSync(directory, { recursive: true }).sort()).toEqual(
    [...files, 'generate.json'].sort(),
  );
});

test('a later step of the job uses the values that an earlier one generated', async () => {
  await generate(request, { directory, templates, publicKey: 'ssh-ed25519 A' });
  const read = () => readFileSync(join(directory, 'terraform.tfvars.json'), 'utf8');
  const values = read();
  plant();
  const again = await regenerate({ directory, templates });
  expect(read()).toBe(values);
  expect(readdirSync(directory, { recursive: true }).sort()).toEqual(
    [...(again?.files ?? []), 'generate.json'].sort(),
  );
});

test('regenerate returns null if no step generated anything', async () => {
  expect(await regenerate({ directory, templates })).toBeNull();
  expect(readdirSync(folder)).toEqual([]);
});

test('variables of volumes that are not given are left to the templates', async () => {
  const write = async (storage: Partial<ClusterSpec['storage']>) => {
    const given = { ...request, spec: { ...spec, storage: { ...spec.storage, ...storage } } };
    await generate(given, { directory, templates, publicKey: null });
    return JSON.parse(readFileSync(join(directory, 'terraform.tfvars.json'), 'utf8'));
  };
  const names = ['data_volume_iops', 'data_volume_throughput', 'kms_key_id'];
  const plain = await write({});
  expect(plain).toMatchObject({ data_volume_size: 20, root_volume_size: 16 });
  expect(Object.keys(plain).filter((name) => names.includes(name))).toEqual([]);
  const kmsKey = 'arn:aws:kms:us-east-1:123456789012:key/a';
  expect(
    await write({ dataGib: 40, iops: 6000, throughput: 250, rootGib: 20, kmsKey }),
  ).toMatchObject({
    data_volume_size: 40,
    data_volume_iops: 6000,
    data_volume_throughput: 250,
    root_volume_size: 20,
    kms_key_id: kmsKey,
  });
});

test('the bucket of the backups and the source of a restore are given only where the cluster has them', async () => {
  const write = async (given: Partial<ClusterSpec>) => {
    const changed = { ...request, spec: { ...spec, ...given } };
    await generate(changed, { directory, templates, publicKey: null });
    return JSON.parse(readFileSync(join(directory, 'terraform.tfvars.json'), 'utf8'));
  };
  const plain = await write({});
  expect([plain.backup, plain.restore_from]).toEqual([undefined, undefined]);
  const backup: ClusterSpec['backup'] = {
    bucket: 'team-backups',
    prefix: 'postgres',
    retentionDays: 14,
    schedule: { time: '02:30', fullOn: 'sunday' },
    endpoint: null,
    kmsKey: null,
    cipher: 'none',
    permissionsBoundary: 'arn:aws:iam::123456789012:policy/nodes',
  };
  const from = createSource({ bucket: 'old-backups' });
  expect(await write({ backup, restore: { from, time: null } })).toMatchObject({
    backup: {
      bucket: 'team-backups',
      prefix: 'postgres',
      kms_key_id: null,
      permissions_boundary: 'arn:aws:iam::123456789012:policy/nodes',
    },
    restore_from: {
      ...{ bucket: 'old-backups', prefix: '', cluster: 'sales' },
      ...{ kms_key_id: null, permissions_boundary: null },
    },
  });
  const bounded = { ...from, kmsKey: 'arn:key', permissionsBoundary: 'arn:boundary' };
  expect(await write({ restore: { from: bounded, time: null } })).toMatchObject({
    restore_from: { kms_key_id: 'arn:key', permissions_boundary: 'arn:boundary' },
  });
  const usual = await write({ rehearsal: null, name: 'orders-rehearsal' });
  for (const variable of ['final_snapshot', 'rehearsal_of']) {
    expect(usual).not.toHaveProperty(variable);
  }
  expect(await write({ rehearsal: CANARY, name: 'orders-rehearsal' })).toMatchObject({
    final_snapshot: false,
    rehearsal_of: 'orders',
  });
  expect(await write({ backup: { ...backup, retentionDays: 30 } })).not.toHaveProperty(
    'backup.retentionDays',
  );
});
