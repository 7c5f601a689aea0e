import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Rule } from '../../lab/aws/world.ts';
import { Cloud } from '../jobs/testing/cloud.ts';

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

/** Adds rules to the nodes' group by hand. */
const open = (added: readonly Partial<Rule>[]) =>
  cloud.aws.edit(({ rules }) => {
    const clients = Object.values(rules).find((one) => one.cidrIpv4 === '192.0.2.0/24');
    if (clients === undefined) throw new Error('no rule for clients');
    const peers = { cidrIpv4: null, cidrIpv6: null, prefixList: null, referencedGroup: null };
    for (const [index, rule] of added.entries()) {
      const id = `sgr-${index}`;
      rules[id] = { ...clients, ...peers, id, description: 'by hand', tags: {}, ...rule };
    }
  });

async function read() {
  const { drift, openings } = (await cloud.plan()).summary;
  return {
    drift: drift.map(({ address }) => address),
    openings: openings.map(({ port, peer }) => `${peer} to ${port}`).sort(),
  };
}
const NOTHING = { drift: [], openings: [] };

test('a rule that the last apply added, changed or removed is no drift', async () => {
  expect(await read()).toEqual(NOTHING);
  for (const clients of [
    ['192.0.2.0/24', '198.51.100.0/24'],
    ['192.0.2.0/24', '203.0.113.7/32'],
    ['192.0.2.0/24'],
  ]) {
    write(...clients);
    await cloud.apply();
    expect(await read(), clients.join()).toEqual(NOTHING);
  }
});

test('a rule that was added by hand is reported while it is there, if it opens a port of the description', async () => {
  await open([
    { cidrIpv4: '0.0.0.0/0' },
    { cidrIpv6: '::/0', from: 5000, to: 6000 },
    { cidrIpv4: '10.0.0.0/8', protocol: '-1', from: null, to: null },
    // Monitoring is no matter of the description, and neither is UDP.
    { cidrIpv4: '10.1.0.0/16', from: 9100, to: 9100 },
    { cidrIpv4: '10.2.0.0/16', protocol: 'udp' },
  ]);
  const openings = ['0.0.0.0/0 to 5432', '10.0.0.0/8 to 22', '10.0.0.0/8 to 5432', '::/0 to 5432'];
  expect((await read()).openings).toEqual(openings);
  // An apply records them in the state; they are still there.
  write('192.0.2.0/24', '198.51.100.0/24');
  await cloud.apply();
  expect(await read()).toEqual({ drift: [], openings });
  await cloud.aws.edit(({ rules }) => {
    for (const [id, { description }] of Object.entries(rules))
      if (description === 'by hand') delete rules[id];
  });
  expect(await read()).toEqual(NOTHING);
});
