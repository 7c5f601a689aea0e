import { locateRepository } from '../backup.ts';
import { findDeployedBackup, isSameRepository } from '../deployed-backup.ts';
import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import type { Step } from './step.ts';

/**
 * Explains what `steps` end or delete of the backups that the primary makes now, as sentences; null if nothing. Deleting
 * needs more than a merge: a shorter retention deletes backups, and without `backup`, or with another repository, the
 * backups that exist get no more WAL.
 */
export function explainBackupLoss(
  observed: readonly NodeObservation[],
  { steps, desired }: { steps: readonly Step[]; desired: DesiredCluster },
): string | null {
  const deployed = findDeployedBackup(observed);
  if (deployed === null || !steps.some(({ kind }) => kind === 'archive')) return null;
  const { backup, name: cluster } = desired;
  const place = `s3://${deployed.bucket}${deployed.path}`;
  if (backup === null) {
    return `backup is removed: archiving to ${place} and the backups there end. What is committed after that cannot be restored; what is stored there is not deleted.`;
  }
  if (!isSameRepository(deployed, { backup, cluster })) {
    const next = `s3://${backup.bucket}${locateRepository({ ...backup, cluster })}`;
    const at = backup.endpoint === deployed.endpoint ? '' : ` at ${backup.endpoint ?? 'Amazon S3'}`;
    return `backup goes to ${next}${at} instead of ${place}. What the former place holds is not deleted and gets no more WAL, so it reaches no further.`;
  }
  const { retentionDays: before } = deployed;
  const after = backup.retentionDays;
  if (before === null || after >= before) return null;
  return `backup.retention_days: ${after} instead of ${before} days are kept, so older backups and their WAL are deleted.`;
}
