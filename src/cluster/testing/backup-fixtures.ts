import type { BackupSpec } from '../backup.ts';
import { renderBackupFiles } from '../backup-configuration.ts';
import type { DesiredCluster } from '../desired.ts';
import type { BackupObservation, BackupRecord, NodeObservation } from '../observation.ts';
import { createBackup, createDesired, createHealthy } from './fixtures.ts';

/** A full backup. */
export const FULL: BackupRecord = {
  label: '20261122-023000F',
  type: 'full',
  ...{ started: 1_000, ended: 1_060, databaseBytes: 1, repositoryBytes: 1 },
  ...{ damaged: false, missingSince: null },
};

/** A repository of the cluster of `createHealthy`, with one backup. */
export function createRepository(overrides: Partial<BackupObservation> = {}): BackupObservation {
  return {
    problem: null,
    systemIdentifier: '7300000000000000001',
    backups: [FULL],
    oldestWal: null,
    newestWal: null,
    walBytes: null,
    archivedAt: null,
    dropped: null,
    running: null,
    last: null,
    ...overrides,
  };
}

/** A cluster that is to have backups, and may lose some. */
export function createWithBackup(
  overrides: Partial<BackupSpec> = {},
  { size = 3 }: { size?: number } = {},
): DesiredCluster {
  return createDesired({ size, backup: createBackup(overrides), allowsBackupLoss: true });
}

/** The nodes of a cluster that makes backups as `desired` asks for. `key`: whether they have the key of the cipher. */
export function createArchiving(
  desired: DesiredCluster,
  {
    repository = {},
    key = null,
  }: { repository?: Partial<BackupObservation>; key?: boolean | null } = {},
): NodeObservation[] {
  return createHealthy(desired).map((node) => ({
    ...node,
    host: { ...node.host, backupTools: 'ready', backupKeyCurrent: key },
    files: { ...node.files, ...renderBackupFiles(desired) },
    backup: node.standby ? null : createRepository(repository),
  }));
}
