import type { DesiredCluster } from '../cluster/desired.ts';
import type { ArchiverObservation, NodeObservation, WeakCommit } from '../cluster/observation.ts';
import type { NodeProof } from '../cluster/proof.ts';
import { readQuorum } from '../cluster/rollout/node-settings.ts';
import { explainWeakCommit } from '../cluster/settings/synchronous-commit.ts';
import { formatBytes } from '../messages/quantities.ts';
import { toSeconds } from '../messages/times.ts';
import { describeBackupFaults } from './backup-faults.ts';
import { usedPercent } from './capacity.ts';
import { countNoun } from './markdown.ts';
import { describeFullVolume, describeSpace, type SpaceAlert } from './space-faults.ts';

/** Waiting WAL from which on an archive that works counts as too slow. */
const BACKLOG_BYTES = 1024 ** 3;

/**
 * Returns the problems on the nodes that a person has to fix because a deploy does not: sentences of plain text, partly
 * in the nodes' words. `desired` also says when space is reported, `now` is the run's clock.
 */
export function describeFaults(
  observed: readonly NodeObservation[],
  desired: Pick<DesiredCluster, 'synchronousReplicas'> & SpaceAlert,
  now: Date,
): string[] {
  return observed.flatMap((node) => [
    ...describeSpace(node, desired),
    ...describeArchiver(node.name, node.postgres?.archiver ?? null, {
      isBounded: node.files.pgbackrestConf !== null,
    }),
    ...describeBackupFaults(node, toSeconds(now)),
    ...describeWeakened(node, desired),
  ]);
}

/**
 * Returns the problems that the proof of a node shows and that remain after this run; sentences. `hasBackups`: the cluster file
 * has `backup`.
 */
export function describeProofFaults(
  node: NodeProof,
  alert: SpaceAlert & { hasBackups?: boolean },
): string[] {
  const { name, archiver, storage } = node;
  const isFull = storage !== null && usedPercent(storage) >= alert.storageAlertPercent;
  return [
    ...(isFull ? [describeFullVolume(name, storage, alert)] : []),
    ...describeArchiver(name, archiver, { isBounded: alert.hasBackups ?? false }),
    ...(alert.hasBackups === true && archivesNothing(node)
      ? [
          `${name} is the primary and archives nothing, so what is committed now is in no backup: it has no backup settings, as the deploy that begins backups has not reached it yet. Deploy once every node answers: that begins them.`,
        ]
      : []),
  ];
}

/** A new primary may have been out of reach when backups began, and a repair does not begin them. */
const archivesNothing = ({ role, tokenRead, problem, archivedWal }: NodeProof): boolean =>
  role === 'primary' && tokenRead && problem === null && archivedWal === null;

/**
 * Returns why the WAL of a node is not archived, as a sentence that names it; [] if archiving works or is off. `isBounded`:
 * pgBackRest archives, and drops WAL rather than fill the volume (`archive-push-queue-max`).
 */
export function describeArchiver(
  name: string,
  archiver: ArchiverObservation | null,
  { isBounded = false }: { isBounded?: boolean } = {},
): string[] {
  if (archiver === null) return [];
  const { state, failed, lastFailed, waiting, waitingBytes } = archiver;
  const pile = `${countNoun(waiting, 'WAL file')} (${formatBytes(waitingBytes)}) ${waiting === 1 ? 'waits' : 'wait'} on the data volume${isBounded ? '. Once it is a tenth of the volume (1 GiB at least, 64 GiB at most), WAL is dropped, and what was committed since cannot be restored before the next full backup.' : ', which no setting bounds: once it is full, PostgreSQL stops.'}`;
  switch (state) {
    case 'failing':
      return [
        `${name}: WAL archiving fails (${countNoun(failed, 'attempt')} failed${lastFailed === null ? '' : `, the last for ${lastFailed}`}). ${pile} The server's log says why; archiving resumes by itself once ${isBounded ? 'the bucket answers' : 'archive_command or archive_library works'}.`,
      ];
    case 'unconfigured':
      if (waiting === 0) return [];
      return [
        `${name}: archive_mode is on, and neither archive_command nor archive_library says how to archive. ${pile} Set one of them, or archive_mode = off.`,
      ];
    case 'archiving':
      if (waitingBytes < BACKLOG_BYTES) return [];
      return [
        `${name}: WAL archiving is behind. ${pile} See whether ${isBounded ? 'the bucket' : 'archive_command hangs, or'} is too slow for what is written.`,
      ];
  }
}

/** Returns how ALTER SYSTEM weakens the requested synchronous replication. */
function describeWeakened(
  { name, overrides, postgres }: NodeObservation,
  { synchronousReplicas }: Pick<DesiredCluster, 'synchronousReplicas'>,
): string[] {
  if (synchronousReplicas === 0) return [];
  const begin = `${name}: synchronous-replicas: ${synchronousReplicas} does not hold`;
  const when = postgres?.inRecovery === false ? '' : ' once it is the primary';
  const reset = (setting: string) =>
    `Run ALTER SYSTEM RESET ${setting} and SELECT pg_reload_conf() on ${name}.`;
  const { synchronous_commit: commit, synchronous_standby_names: names } = overrides;
  const weak = commit === undefined ? null : explainWeakCommit(commit);
  return [
    ...(weak === null
      ? []
      : [
          `${begin}${when}: ALTER SYSTEM holds synchronous_commit at ${commit} there, and ${weak}. ${reset('synchronous_commit')}`,
        ]),
    ...(names === undefined || readQuorum(names) >= synchronousReplicas
      ? []
      : [
          `${begin}${when}: with the synchronous_standby_names that ALTER SYSTEM holds there, a commit waits for ${countNoun(readQuorum(names), 'replica')}. ${reset('synchronous_standby_names')}`,
        ]),
  ];
}

/**
 * Returns the roles and databases that ALTER ROLE or ALTER DATABASE excludes from synchronous replication, as a
 * sentence; null if there are no exceptions or replication is asynchronous.
 */
export function describeExceptions(
  observed: readonly NodeObservation[],
  { synchronousReplicas }: Pick<DesiredCluster, 'synchronousReplicas'>,
): string | null {
  const primary = observed.find(({ postgres }) => postgres?.inRecovery === false);
  const weak = primary?.postgres?.weakCommits ?? [];
  if (synchronousReplicas === 0 || weak.length === 0) return null;
  const shown = weak.slice(0, 5).map(describeException);
  const more = weak.length > shown.length ? `, and ${weak.length - shown.length} more` : '';
  return `synchronous-replicas: ${synchronousReplicas} does not hold for ${shown.join(', ')}${more}. A failover may lose what they commit. If that is not intended, reset it with ALTER ROLE or ALTER DATABASE.`;
}

function describeException({ role, database, value }: WeakCommit): string {
  const who = [
    ...(role === null ? [] : [`role ${role}`]),
    ...(database === null ? [] : [`database ${database}`]),
  ].join(' in ');
  return `${who === '' ? 'all roles' : who} (synchronous_commit = ${value})`;
}
