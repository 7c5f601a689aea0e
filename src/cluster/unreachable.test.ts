import { describe, expect, test } from 'vitest';
import { createDesired } from './testing/fixtures.ts';
import {
  explainLostNodes,
  explainUnreachable,
  type LostConnection,
  type RunnerNetwork,
  type UnreachableNodes,
} from './unreachable.ts';

const { nodes } = createDesired();
const RUNNING = { 'node-1': 'running', 'node-2': 'running', 'node-3': 'running' };
const CIDRS = ['203.0.113.0/24'];

function explain(
  silence: Partial<UnreachableNodes>,
  {
    addresses = ['10.1.0.4'],
    isPrimarySeen = true,
    via = 'direct',
  }: { addresses?: string[]; isPrimarySeen?: boolean; via?: RunnerNetwork['via'] } = {},
): string[] {
  return explainUnreachable(
    { asked: nodes, noAnswer: [], loginRefused: [], states: RUNNING, messages: {}, ...silence },
    { vantage: { via, sshCidrs: CIDRS, addresses }, isPrimarySeen },
  );
}

const everybody = { noAnswer: ['node-1', 'node-2', 'node-3'] };

describe('when no node answers SSH', () => {
  test('the first cause named is ssh-cidrs, with the address of the runner', () => {
    const found = explain(everybody, { addresses: ['198.51.100.7'], isPrimarySeen: false });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(
      /not in ssh-cidrs\. This runner has the address 198\.51\.100\.7, and ssh-cidrs has 203\.0\.113\.0\/24/,
    );
  });

  test('behind NAT the message says how to find the address of the runner', () => {
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

  test('nodes with only private addresses see a private address', () => {
    const asked = nodes.map((node) => ({ ...node, publicAddress: '' }));
    const [found] = explain({ ...everybody, asked }, { isPrimarySeen: false });
    expect(found).toMatch(/This runner has the address 10\.1\.0\.4/);
  });

  test('stopped instances are named as the cause', () => {
    const states = { 'node-1': 'stopped', 'node-2': 'stopped', 'node-3': 'stopped' };
    const found = explain({ ...everybody, states }, { isPrimarySeen: false });
    expect(found.join('\n')).not.toMatch(/ssh-cidrs/);
    expect(found[0]).toMatch(
      /^node-1, node-2, node-3 cannot be reached: .* are stopped\. Start them/,
    );
  });
});

describe('one text for all nodes with the same cause', () => {
  const say = (text: string) => Object.fromEntries(nodes.map(({ name }) => [name, text]));

  test('behind an endpoint the security groups come first, not ssh-cidrs', () => {
    const found = explain(everybody, { via: 'instance-connect-endpoint', isPrimarySeen: false });
    expect(found).toEqual([expect.stringMatching(/endpoint accepts .*security group/)]);
  });

  test('the endpoint that refuses a tunnel is the cause', () => {
    const messages = say(
      'Failed to connect: tunnel: eice-1 does not exist any more.\nConnection closed by UNKNOWN',
    );
    const found = explain(
      { ...everybody, messages },
      { via: 'instance-connect-endpoint', isPrimarySeen: false },
    );
    // The way to the nodes says nothing about the primary, so nobody is sent to a failover.
    expect(found).toEqual([
      'node-1, node-2, node-3 cannot be reached: eice-1 does not exist any more.',
    ]);
  });

  test('a host on which nothing listens is not blamed on ssh-cidrs', () => {
    const messages = say('ssh: connect to host 203.0.113.11 port 22: Connection refused');
    const [found] = explain({ ...everybody, messages });
    expect(found).toMatch(/^node-1, node-2, node-3 cannot be reached .*reboot/);
  });

  test('another host key is told from a refused login', () => {
    const messages = { 'node-3': 'Host key verification failed.' };
    const found = explain({ loginRefused: ['node-2', 'node-3'], messages });
    expect(found).toEqual([
      expect.stringMatching(/^node-3: .* another host key .*known_hosts/),
      expect.stringMatching(/^node-2: .*ssh-private-key/),
    ]);
  });
});

describe('when one node does not answer SSH', () => {
  test('the message says what EC2 reports, then check, reboot and replace, in this order', () => {
    const [found = ''] = explain({ noAnswer: ['node-2'] });
    expect(found).toMatch(
      /^node-2 cannot be reached \(instance i-0000000000000002; EC2 says: running\)/,
    );
    const order = ['status checks', 'reboot', 'replace: node-2'].map((words) =>
      found.indexOf(words),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order).not.toContain(-1);
  });

  test('the message says to start a stopped instance', () => {
    const [found] = explain({ noAnswer: ['node-2'], states: { ...RUNNING, 'node-2': 'stopped' } });
    expect(found).toMatch(/i-0000000000000002 is stopped\. Start it in EC2/);
  });

  test('the message says to replace a terminated instance', () => {
    const states = { ...RUNNING, 'node-2': 'terminated' };
    expect(explain({ noAnswer: ['node-2'], states })[0]).toMatch(
      /terminated\. .* replace: node-2\.$/,
    );
  });

  test('the message says if EC2 was not asked', () => {
    expect(explain({ noAnswer: ['node-2'], states: {} })[0]).toMatch(/EC2 was not asked/);
  });

  test('the message names the failover only if no primary answers', () => {
    expect(explain({ noAnswer: ['node-2'] }).join()).not.toMatch(/failover/);
    expect(explain({ noAnswer: ['node-2'] }, { isPrimarySeen: false }).at(-1)).toMatch(
      /command: failover/,
    );
  });
});

test('a node that answers and refuses the login is not blamed on the network', () => {
  const found = explain({ loginRefused: ['node-3'] });
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/^node-3: the SSH server answers, but the login .*ssh-private-key/);
});

test('no message says to terminate an instance', () => {
  for (const state of [
    'running',
    'stopped',
    'stopping',
    'shutting-down',
    'terminated',
    'pending',
  ]) {
    const states = { 'node-2': state };
    expect(explain({ noAnswer: ['node-2'], states }).join()).not.toMatch(
      /terminate it|terminate-instances/,
    );
  }
});

const lose = (number: number, change: Partial<LostConnection> = {}): LostConnection => ({
  ...{ name: `node-${number}`, step: 'prepare', message: 'Connection timed out', isLocked: false },
  ...change,
});
const TUNNEL = { message: 'tunnel: eice-1 does not exist any more.\nConnection closed' };

test.each<[string, LostConnection[], string[]]>([
  [
    'one node',
    [lose(2)],
    ['^node-2 does not .* \\(step prepare\\)\\. .* instance i-\\w+2 is restarting'],
  ],
  [
    'two of three, in two steps',
    [lose(1), lose(2, { step: 'access' })],
    [
      '^node-1, node-2 do not .* \\(step prepare, access\\)\\. .* instances i-\\w+1, i-\\w+2 are restarting',
    ],
  ],
  [
    'two nodes for two causes, in two steps',
    [lose(1), lose(2, { step: 'access', ...TUNNEL })],
    [
      '^node-1 does not .* \\(step prepare\\)\\. ',
      '^node-2 cannot be reached any more \\(step access\\): eice-1 does not',
    ],
  ],
  ['one node in two tasks', [lose(2), lose(2)], ['^node-2 does not']],
  [
    'all nodes',
    [lose(1), lose(2), lose(3)],
    [
      '^No node answers SSH any more \\(node-1, node-2, node-3; step prepare\\)\\. .*the network between',
    ],
  ],
  [
    'all nodes, whose tunnels failed',
    [lose(1, TUNNEL), lose(2, TUNNEL), lose(3, TUNNEL)],
    [
      '^node-1, node-2, node-3 cannot be reached any more \\(step prepare\\): eice-1 does not exist any more\\.$',
    ],
  ],
  [
    'one node that refuses the login, and a silent one',
    [lose(1), lose(3, { message: 'Permission denied', isLocked: true })],
    ['^node-1 does not', '^node-3: the SSH server answers, but the login'],
  ],
])('connections that are lost during a step: %s', (_, lost, texts) => {
  const found = explainLostNodes(lost, nodes);
  expect(found).toEqual(texts.map((text) => expect.stringMatching(text)));
  expect(found.join()).not.toContain('timed out');
});
