import { describe, expect, test } from 'vitest';
import { createDesired } from './testing/fixtures.ts';
import { explainUnreachable, type UnreachableNodes } from './unreachable.ts';

const { nodes } = createDesired();
const RUNNING = { 'node-1': 'running', 'node-2': 'running', 'node-3': 'running' };
const CIDRS = ['203.0.113.0/24'];

function explain(
  silence: Partial<UnreachableNodes>,
  {
    addresses = ['10.1.0.4'],
    isPrimarySeen = true,
  }: { addresses?: string[]; isPrimarySeen?: boolean } = {},
): string[] {
  return explainUnreachable(
    { asked: nodes, silent: [], locked: [], states: RUNNING, ...silence },
    { vantage: { sshCidrs: CIDRS, addresses }, isPrimarySeen },
  );
}

const everybody = { silent: ['node-1', 'node-2', 'node-3'] };

describe('all nodes are silent', () => {
  test('the first cause is ssh-cidrs, with the address of the runner beside it', () => {
    const found = explain(everybody, { addresses: ['198.51.100.7'], isPrimarySeen: false });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(
      /not in ssh-cidrs\. This runner has the address 198\.51\.100\.7, and ssh-cidrs has 203\.0\.113\.0\/24/,
    );
  });

  test('behind NAT the runner does not know its address: how to find it', () => {
    const [found] = explain(everybody, { isPrimarySeen: false });
    expect(found).toMatch(
      /ssh-cidrs has 203\.0\.113\.0\/24; this runner's own address is 10\.1\.0\.4/,
    );
    expect(found).toMatch(/curl -s https:\/\/checkip\.amazonaws\.com/);
  });

  test('an address that is in ssh-cidrs is not the cause', () => {
    const [found] = explain(everybody, { addresses: ['203.0.113.9'], isPrimarySeen: false });
    expect(found).toMatch(/203\.0\.113\.9 is in ssh-cidrs .*network ACL/);
    expect(found).not.toMatch(/not in ssh-cidrs/);
  });

  test('nodes with private addresses alone see a private one', () => {
    const asked = nodes.map((node) => ({ ...node, publicAddress: '' }));
    const [found] = explain({ ...everybody, asked }, { isPrimarySeen: false });
    expect(found).toMatch(/This runner has the address 10\.1\.0\.4/);
  });

  test('instances that EC2 has stopped are the cause themselves', () => {
    const states = { 'node-1': 'stopped', 'node-2': 'stopped', 'node-3': 'stopped' };
    const found = explain({ ...everybody, states }, { isPrimarySeen: false });
    expect(found.join('\n')).not.toMatch(/ssh-cidrs/);
    expect(found[0]).toMatch(/node-1 .*is stopped\. Start it/);
  });
});

describe('one node is silent', () => {
  test('what EC2 says, then check, reboot and replace, in this order', () => {
    const [found = ''] = explain({ silent: ['node-2'] });
    expect(found).toMatch(
      /^node-2 cannot be reached \(instance i-0000000000000002; EC2 says: running\)/,
    );
    const order = ['status checks', 'reboot-instances', 'replace: node-2'].map((words) =>
      found.indexOf(words),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order).not.toContain(-1);
  });

  test('a stopped instance is started', () => {
    const [found] = explain({ silent: ['node-2'], states: { ...RUNNING, 'node-2': 'stopped' } });
    expect(found).toMatch(/is stopped\. Start it \(aws ec2 start-instances/);
  });

  test('a terminated one is made again by this action', () => {
    const states = { ...RUNNING, 'node-2': 'terminated' };
    expect(explain({ silent: ['node-2'], states })[0]).toMatch(
      /terminated\. .* replace: node-2\.$/,
    );
  });

  test('nobody asked EC2: it is said so', () => {
    expect(explain({ silent: ['node-2'], states: {} })[0]).toMatch(/EC2 was not asked/);
  });

  test('the failover is named only where no primary answers', () => {
    expect(explain({ silent: ['node-2'] }).join()).not.toMatch(/failover/);
    expect(explain({ silent: ['node-2'] }, { isPrimarySeen: false }).at(-1)).toMatch(
      /command: failover/,
    );
  });
});

test('a node that answers and lets nobody in is no matter of the network', () => {
  const found = explain({ locked: ['node-3'] });
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/node-3: the SSH server answers but refuses .*ssh-private-key/);
});

test('nobody is ever told to terminate an instance', () => {
  for (const state of [
    'running',
    'stopped',
    'stopping',
    'shutting-down',
    'terminated',
    'pending',
  ]) {
    const states = { 'node-2': state };
    expect(explain({ silent: ['node-2'], states }).join()).not.toMatch(
      /terminate it|terminate-instances/,
    );
  }
});
