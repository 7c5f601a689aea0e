import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Cloud } from '../jobs/testing/cloud.ts';
import type { AttributeChange } from './attributes.ts';

// Terraform against a cloud without machines: what a plan says about changes outside Terraform.

// Each plan and apply starts Terraform.
vi.setConfig({ testTimeout: 120_000 });

let cloud: Cloud;
beforeAll(async () => {
  cloud = await Cloud.open('drift-test');
  write('192.0.2.0/24');
  await cloud.terraform.init();
  await cloud.apply();
}, 120_000);
afterAll(() => cloud.close());

const write = (...clients: string[]) =>
  cloud.write({
    replica_count: 0,
    ssh_via: 'instance-connect-endpoint',
    client_cidrs: clients,
  });

/** Adds a rule to the nodes' group by hand. */
const open = (cidrIpv4: string) =>
  cloud.aws.edit(({ rules }) => {
    const rule = Object.values(rules).find((one) => one.cidrIpv4 === '192.0.2.0/24');
    if (rule === undefined) throw new Error('no rule for clients');
    const id = `sgr-${cidrIpv4.replaceAll(/\D/g, '')}`;
    rules[id] = { ...rule, id, cidrIpv4, description: 'by hand', tags: {} };
  });

async function readDrift() {
  const { drift } = (await cloud.plan()).summary;
  const show = ({ path, after }: AttributeChange) =>
    `${path} ${after.kind === 'known' ? JSON.stringify(after.value) : after.kind}`;
  return drift.flatMap(({ address, attributes }) =>
    attributes.map((one) => `${address} ${show(one)}`),
  );
}

test('a rule that the last apply added, changed or removed is no drift', async () => {
  expect(await readDrift()).toEqual([]);
  write('192.0.2.0/24', '198.51.100.0/24');
  await cloud.apply();
  expect(await readDrift()).toEqual([]);
  write('192.0.2.0/24', '203.0.113.7/32');
  await cloud.apply();
  expect(await readDrift()).toEqual([]);
  write('192.0.2.0/24');
  await cloud.apply();
  expect(await readDrift()).toEqual([]);
});

test('a rule that was added by hand is drift, until an apply has recorded it', async () => {
  await open('0.0.0.0/0');
  expect(await readDrift()).toContainEqual(
    'aws_security_group.nodes ingress[0].cidr_blocks ["0.0.0.0/0"]',
  );
  write('192.0.2.0/24', '198.51.100.0/24');
  expect((await readDrift()).join()).not.toContain('198.51.100.0');
  await cloud.apply();
  expect(await readDrift()).toEqual([]);
  await open('10.0.0.0/8');
  const drift = (await readDrift()).join('\n');
  expect(drift).toContain('10.0.0.0/8');
  expect(drift).not.toContain('0.0.0.0/0');
});
