import { renderBackupFiles } from '../backup-configuration.ts';
import type { DesiredCluster } from '../desired.ts';
import type { BackupObservation, NodeObservation } from '../observation.ts';
import { archivesTo } from './backups.ts';
import type { StepOf } from './step.ts';

// What a step makes of the backups of one node, as the next observation would report it.

/** Returns a node with the files that say where WAL is archived to, or without them. */
export function archive(
  node: NodeObservation,
  { primary }: StepOf<'archive'>,
  desired: DesiredCluster,
): NodeObservation {
  const files = { ...node.files, ...renderBackupFiles(desired) };
  const host = { ...node.host, backupKeyCurrent: null };
  const { name: cluster, backup } = desired;
  if (node.name !== primary || backup === null) return { ...node, host, files, backup: null };
  // An earlier backup may be there, and no WAL of the time in between.
  const isKept = archivesTo(node, { backup, cluster });
  return { ...node, host, files, backup: isKept ? node.backup : buildEmptyRepository(node) };
}

function buildEmptyRepository({ postgres }: NodeObservation): BackupObservation {
  return {
    problem: null,
    systemIdentifier: postgres?.systemIdentifier ?? null,
    backups: [],
    oldestWal: null,
    newestWal: null,
    walBytes: null,
    archivedAt: null,
    dropped: null,
    running: null,
    last: null,
  };
}

/** Returns a node that has made a backup. */
export function backUp(node: NodeObservation, { type }: StepOf<'backup'>): NodeObservation {
  const { backup } = node;
  if (backup === null) return node;
  const moment = Math.max(0, ...backup.backups.map(({ ended }) => ended));
  const made = {
    label: '',
    type: type === 'full' ? ('full' as const) : ('incr' as const),
    ...{ started: moment, ended: moment, databaseBytes: 0, repositoryBytes: 0 },
    ...{ damaged: false, missingSince: null },
  };
  return {
    ...node,
    backup: { ...backup, backups: [...backup.backups, made], dropped: null, running: null },
  };
}
