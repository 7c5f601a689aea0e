import { describe, expect, test } from 'vitest';
import type { BackupSpec } from '../backup.ts';
import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { createArchiving, createWithBackup } from '../testing/backup-fixtures.ts';
import { changeNode, listRefusals, listRolloutSteps } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

const want = (overrides: Partial<BackupSpec> = {}): DesiredCluster =>
  createWithBackup({ cipher: 'aes-256-cbc', ...overrides });
const plain = want({ cipher: 'none' });
const encrypted = want();

const refuse = (observed: NodeObservation[], desired: DesiredCluster) =>
  listRefusals(rollout(observed, desired));

describe('a repository keeps', () => {
  test.each<[string, DesiredCluster, DesiredCluster, RegExp]>([
    [
      'its cipher',
      plain,
      encrypted,
      /^backup\.cipher: s3:\/\/acme-backups\/production\/postgres is not encrypted, .*another backup\.prefix.*give cipher: none\.$/,
    ],
    [
      'it to its end',
      encrypted,
      plain,
      /^backup\.cipher: s3:\/\/\S+ is encrypted \(aes-256-cbc\), .*give cipher: aes-256-cbc\.$/,
    ],
  ])('%s', (_, before, after, reason) => {
    expect(refuse(createArchiving(before), after)).toEqual([expect.stringMatching(reason)]);
  });

  test('its key, as far as the run has one', () => {
    expect(refuse(createArchiving(encrypted, { key: false }), encrypted)).toEqual([
      expect.stringMatching(
        /^backup-cipher-key: it is not the key that s3:\/\/\S+ is encrypted with, which node-1 has, .*another backup\.prefix/,
      ),
    ]);
    for (const key of [true, null]) {
      expect(listRolloutSteps(createArchiving(encrypted, { key }), encrypted)).toEqual([]);
    }
  });
});

test.each<[string, DesiredCluster, DesiredCluster]>([
  ['is encrypted', plain, want({ prefix: 'elsewhere' })],
  ['has another key', encrypted, want({ prefix: 'elsewhere' })],
  ['is not encrypted', encrypted, want({ prefix: 'elsewhere', cipher: 'none' })],
])('a new repository %s from its beginning', (_, before, after) => {
  expect(
    listRolloutSteps(createArchiving(before, { key: before === plain ? null : false }), after),
  ).toEqual(['archive node-1 node-2 node-3', 'backup node-1']);
});

test('a replica with another key than the primary gets that of the run', () => {
  const observed = changeNode(createArchiving(encrypted, { key: true }), 'node-2', ({ host }) => ({
    host: { ...host, backupKeyCurrent: false },
  }));
  expect(listRolloutSteps(observed, encrypted)).toEqual(['archive node-2']);
});

test('a repair with another key gives it to no node, and is not refused for it', () => {
  const observed = changeNode(
    createArchiving(encrypted, { key: false }),
    'node-2',
    ({ files, host }) => ({
      host: { ...host, backupKeyCurrent: null },
      files: { ...files, pgbackrestConf: null, backupJson: null },
    }),
  );
  const repair = { ...encrypted, keepsStorage: true };
  expect(listRolloutSteps(observed, repair)).toEqual([]);
});
