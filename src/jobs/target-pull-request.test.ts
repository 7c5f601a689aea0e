import { expect, test } from 'vitest';
import { identifyCluster } from './target-pull-request.ts';

const identify = ({
  workspace = '/home/runner/work/database/database',
  name = 'orders',
  region = 'us-east-1',
  workingDirectory = 'infra/orders',
  clusterFile = null as string | null,
} = {}): string => identifyCluster({ workspace }, { name, region, workingDirectory, clusterFile });

test.each<[string, Parameters<typeof identify>[0]]>([
  ['another runner keeps its work elsewhere', { workspace: '/srv/actions runner/_work/database' }],
  ['the folder is written in another way', { workingDirectory: './infra//x/../orders/' }],
  [
    'the folder is given as an absolute path',
    { workingDirectory: '/home/runner/work/database/database/infra/orders' },
  ],
])('a cluster stays the same where %s', (_, other) => {
  expect(identify(other)).toBe(identify());
});

test.each<[string, Parameters<typeof identify>[0]]>([
  ['name', { name: 'orders-2' }],
  ['region', { region: 'eu-west-1' }],
  ['folder', { workingDirectory: 'infra' }],
  ['file', { clusterFile: 'clusters/orders.yml' }],
])('a cluster is another one with another %s', (_, other) => {
  expect(identify(other)).not.toBe(identify());
});

test('two files that describe the same cluster are told apart', () => {
  expect(identify({ clusterFile: 'clusters/a.yml' })).not.toBe(
    identify({ clusterFile: 'clusters/b.yml' }),
  );
});
