import { expect, test } from 'vitest';
import { identifyCluster } from './cluster-identity.ts';

const identify = ({
  workspace = '/home/runner/work/database/database',
  name = 'orders',
  region = 'us-east-1',
  workingDirectory = 'infra/orders',
  clusterFile = null as string | null,
} = {}): string => identifyCluster({ workspace }, { name, region, workingDirectory, clusterFile });

test.each<[string, Parameters<typeof identify>[0]]>([
  ['another runner has another work folder', { workspace: '/srv/actions runner/_work/database' }],
  ['the folder is spelled differently', { workingDirectory: './infra//x/../orders/' }],
  [
    'the folder is given as an absolute path',
    { workingDirectory: '/home/runner/work/database/database/infra/orders' },
  ],
])('the identity is the same if %s', (_, other) => {
  expect(identify(other)).toBe(identify());
});

test.each<[string, Parameters<typeof identify>[0]]>([
  ['name', { name: 'orders-2' }],
  ['region', { region: 'eu-west-1' }],
  ['folder', { workingDirectory: 'infra' }],
  ['file', { clusterFile: 'clusters/orders.yml' }],
])('the identity differs with another %s', (_, other) => {
  expect(identify(other)).not.toBe(identify());
});

test('two files that describe the same cluster have different identities', () => {
  expect(identify({ clusterFile: 'clusters/a.yml' })).not.toBe(
    identify({ clusterFile: 'clusters/b.yml' }),
  );
});
