import type { BackupSpec } from '../backup.ts';
import { renderBackupFiles } from '../backup-configuration.ts';
import { isSameRepository, readDeployedBackup } from '../deployed-backup.ts';
import type { DesiredCluster } from '../desired.ts';
import { namesOf } from '../node.ts';
import type { BackupObservation, NodeObservation } from '../observation.ts';
import type { ClusterState } from './cluster-state.ts';
import type { StepReason } from './reason.ts';
import { explainNode, explainNodes, type PlannedStep } from './step.ts';

// The rules of the rollout that concern backups. None of them stops or restarts a server.

/** What a step does with the programs for backups on its nodes. */
export type ToolsChange = 'install' | 'remove';

/**
 * Returns what has to happen to the programs for backups on a node; null if nothing. While WAL is archived they stay: the
 * server calls them.
 */
export function findToolsChange(cluster: ClusterState, node: NodeObservation): ToolsChange | null {
  const { backupTools } = node.host;
  if (needsTools(cluster, node)) return backupTools === 'ready' ? null : 'install';
  const isUnused = cluster.desired.backup === null && !isArchiving(node);
  const mayGo = isUnused && cluster.desired.restore === null && !cluster.desired.keepsStorage;
  return mayGo && backupTools !== 'absent' ? 'remove' : null;
}

function needsTools(cluster: ClusterState, node: NodeObservation): boolean {
  const { backup, keepsStorage } = cluster.desired;
  if (node.name === cluster.primary && isRestored(cluster)) return true;
  if (backup === null) return false;
  // The server of a node that has the file calls the programs: a new instance of a repair lacks them.
  if (node.files.pgbackrestConf !== null) return true;
  // A repair goes on with archiving, and does not begin it.
  return !keepsStorage || hasWantedFiles(cluster, cluster.primaryNode);
}

const isArchiving = ({ files }: NodeObservation): boolean =>
  files.pgbackrestConf !== null || files.backupJson !== null;

/** Whether the cluster has no data, and gets that of backups. */
export function isRestored({ desired, existing }: ClusterState): boolean {
  return desired.restore !== null && !existing.some(({ data }) => data === 'complete');
}

/**
 * Begins to archive WAL on the nodes, changes where to and when backups are made, or ends it. Every node has the files, so
 * that whichever becomes the primary goes on; the primary comes first, which makes the repository ready for all.
 */
export function archive(cluster: ClusterState): PlannedStep | null {
  const { primary, primaryNode, desired } = cluster;
  const differing = [primaryNode, ...cluster.replicas].filter(
    (node) => !hasWantedFiles(cluster, node),
  );
  if (differing.length === 0) return null;
  // A repair leaves a change of backups to a deploy.
  if (desired.keepsStorage && differing.includes(primaryNode)) return null;
  const isReady = desired.backup === null || isReadyToArchive(primaryNode);
  if (!isReady || primaryNode.postgres?.inRecovery !== false) return null;
  const reasons = explainNodes(differing, (node) => [explainArchive(cluster, node)]);
  return { kind: 'archive', nodes: namesOf(differing), primary, reasons };
}

/**
 * Gives replicas the files of a cluster that archives there already: one of them may become the primary in this rollout, and must
 * go on. A container of an earlier version has no programs for that: it is restarted first.
 */
export function archiveReplicas(cluster: ClusterState): PlannedStep | null {
  const { primary, primaryNode, replicas, desired } = cluster;
  const { backup, name, keepsStorage } = desired;
  if (backup === null || keepsStorage || !archivesTo(primaryNode, { backup, cluster: name })) {
    return null;
  }
  const lacking = replicas.filter(
    ({ data, files, host, postgres, container }) =>
      data === 'complete' &&
      postgres !== null &&
      container?.current === true &&
      host.backupTools === 'ready' &&
      files.pgbackrestConf === null,
  );
  if (lacking.length === 0) return null;
  const reasons = explainNodes(lacking, (node) => [explainArchive(cluster, node)]);
  return { kind: 'archive', nodes: namesOf(lacking), primary, reasons };
}

/** Whether backups cannot begin before the primary has restarted. */
export function awaitsArchive(cluster: ClusterState): boolean {
  const { desired, primaryNode } = cluster;
  if (desired.backup === null || desired.keepsStorage) return false;
  return !hasWantedFiles(cluster, primaryNode) && !isReadyToArchive(primaryNode);
}

function hasWantedFiles({ desired }: ClusterState, { files, host }: NodeObservation): boolean {
  const wanted = renderBackupFiles(desired);
  // The files are observed without the key.
  return (
    host.backupKeyCurrent !== false &&
    files.pgbackrestConf === wanted.pgbackrestConf &&
    files.backupJson === wanted.backupJson
  );
}

/**
 * Says in a promotion whether the new primary keeps backups that expire until a deploy has written its files: they name
 * another repository or retention, as a node that was out of reach during a change still has the earlier one. Its retention may
 * be shorter, and only people decide that backups are deleted.
 */
export function keepExpired(
  { backup, name: cluster }: DesiredCluster,
  { files }: NodeObservation,
): { readonly holdsExpiry?: true } {
  if (files.pgbackrestConf === null) return {};
  const deployed = readDeployedBackup(files);
  const isCurrent =
    deployed !== null &&
    backup !== null &&
    isSameRepository(deployed, { backup, cluster }) &&
    deployed.retentionDays === backup.retentionDays;
  return isCurrent ? {} : { holdsExpiry: true };
}

/** Whether the server archives as soon as there is something to archive to: its restart may wait for unreachable nodes. */
function isReadyToArchive({ postgres, container, host }: NodeObservation): boolean {
  const mode = postgres?.settings.archive_mode?.setting;
  return mode === 'on' && container?.current === true && host.backupTools === 'ready';
}

function explainArchive({ desired }: ClusterState, node: NodeObservation): StepReason {
  const { name: cluster, backup } = desired;
  if (backup === null) return { kind: 'archive', change: 'ends' };
  if (node.files.pgbackrestConf === null) return { kind: 'archive', change: 'begins' };
  return {
    kind: 'archive',
    change: archivesTo(node, { backup, cluster }) ? 'options' : 'repository',
  };
}

/** Whether the node archives into this repository already. */
export function archivesTo(
  { files }: NodeObservation,
  wanted: { backup: BackupSpec; cluster: string },
): boolean {
  const deployed = readDeployedBackup(files);
  return deployed !== null && isSameRepository(deployed, wanted);
}

/**
 * Makes a full backup if there is none, or if WAL that the newest one needs was dropped: what was written since cannot be
 * restored before. Backups that cannot be read do not stop a deploy.
 */
export function backUp(cluster: ClusterState): PlannedStep | null {
  const { primary, primaryNode, desired } = cluster;
  const { backup, postgres } = primaryNode;
  if (desired.backup === null || desired.keepsStorage || postgres === null) return null;
  if (backup === null || backup.problem !== null || !hasWantedFiles(cluster, primaryNode)) {
    return null;
  }
  const reason = explainBackup(backup);
  if (reason === null) return null;
  return {
    kind: 'backup',
    nodes: [primary],
    primary,
    type: 'full',
    reasons: explainNode(primary, reason),
  };
}

function explainBackup({ backups, dropped }: BackupObservation): StepReason | null {
  if (!backups.some(({ type }) => type === 'full')) return { kind: 'no-backup' };
  return dropped === null ? null : { kind: 'wal-dropped', files: dropped.files };
}
