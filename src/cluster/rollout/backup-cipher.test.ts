import { describe, expect, test } from 'vitest';
import type { BackupSpec } from '../backup.ts';
import { renderBackupFiles } from '../backup-configuration.ts';
import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { createBackup, createDesired, createHealthy } from '../testing/fixtures.ts';
import { changeNode, listRefusals, listRolloutSteps } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

const want = (overrides: Partial<BackupSpec> = {}): DesiredCluster =>
  createDesired({
    backup: createBackup({ cipher: 'aes-256-cbc', ...overrides }),
    allowsBackupLoss: true,
  });
const plain = want({ cipher: 'none' });
const encrypted = want();

/** A cluster that archives as `desired` asks for. */
function createArchiving(desired: DesiredCluster, key: boolean | null = null): NodeObservation[] {
  return createHealthy(desired).map((node) => ({
    ...node,
    host: { ...node.host, backupTools: 'ready', backupKeyCurrent: key },
    files: { ...node.files, ...renderBackupFiles(desired) },
    backup: node.standby
      ? null
      : {
          ...{ problem: null, systemIdentifier: node.postgres?.systemIdentifier ?? null },
          ...{ oldestWal: null, newestWal: null, walBytes: null, archivedAt: null },
          ...{ dropped: null, running: null, last: null },
          backups: [
            {
              ...{ label: '20261122-023000F', type: 'full', started: 1_000, ended: 1_060 },
              ...{ databaseBytes: 1, repositoryBytes: 1, damaged: false, missingSince: null },
            },
          ],
        },
  }));
}

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
    expect(refuse(createArchiving(encrypted, false), encrypted)).toEqual([
      expect.stringMatching(
        /^backup-cipher-key: it is not the key that s3:\/\/\S+ is encrypted with, which node-1 has, .*another backup\.prefix/,
      ),
    ]);
    for (const key of [true, null]) {
      expect(listRolloutSteps(createArchiving(encrypted, key), encrypted)).toEqual([]);
    }
  });
});

test.each<[string, DesiredCluster, DesiredCluster]>([
  ['is encrypted', plain, want({ prefix: 'elsewhere' })],
  ['has another key', encrypted, want({ prefix: 'elsewhere' })],
  ['is not encrypted', encrypted, want({ prefix: 'elsewhere', cipher: 'none' })],
])('a new repository %s from its beginning', (_, before, after) => {
  expect(listRolloutSteps(createArchiving(before, before === plain ? null : false), after)).toEqual(
    ['archive node-1 node-2 node-3', 'backup node-1'],
  );
});

test('a replica with another key than the primary gets that of the run', () => {
  const observed = changeNode(createArchiving(encrypted, true), 'node-2', ({ host }) => ({
    host: { ...host, backupKeyCurrent: false },
  }));
  expect(listRolloutSteps(observed, encrypted)).toEqual(['archive node-2']);
});

test('a repair with another key gives it to no node, and is not refused for it', () => {
  const observed = changeNode(createArchiving(encrypted, false), 'node-2', ({ files, host }) => ({
    host: { ...host, backupKeyCurrent: null },
    files: { ...files, pgbackrestConf: null, backupJson: null },
  }));
  const repair = { ...encrypted, keepsStorage: true };
  expect(listRolloutSteps(observed, repair)).toEqual([]);
});
