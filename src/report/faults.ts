import type { DesiredCluster } from '../cluster/desired.ts';
import type { ArchiverObservation, NodeObservation, WeakCommit } from '../cluster/observation.ts';
import { readQuorum } from '../cluster/rollout/node-settings.ts';
import { explainWeakCommit } from '../cluster/settings/synchronous-commit.ts';
import { countNoun, formatBytes } from './markdown.ts';

/** WAL that waits for an archive which takes it, and more and more of it. */
const BACKLOG_BYTES = 1024 ** 3;

/**
 * What is wrong on the nodes that a deploy does not fix: a person has to. Sentences of plain text, some of whose words come
 * from the nodes.
 */
export function describeFaults(
  observed: readonly NodeObservation[],
  desired: Pick<DesiredCluster, 'synchronousReplicas'>,
): string[] {
  return observed.flatMap((node) => [
    ...describeArchiver(node.name, node.postgres?.archiver ?? null),
    ...describeWeakened(node, desired),
  ]);
}

/** Why the WAL of a node is not archived, a sentence that names it; none where it is, or is not to be. */
export function describeArchiver(name: string, archiver: ArchiverObservation | null): string[] {
  if (archiver === null) return [];
  const { state, failed, lastFailed, waiting, waitingBytes } = archiver;
  const pile = `${countNoun(waiting, 'WAL file')} (${formatBytes(waitingBytes)}) ${waiting === 1 ? 'waits' : 'wait'} on the data volume, which no setting bounds: once it is full, PostgreSQL stops.`;
  switch (state) {
    case 'failing':
      return [
        `${name}: WAL archiving fails (${countNoun(failed, 'attempt')} failed${lastFailed === null ? '' : `, the last for ${lastFailed}`}). ${pile} The server's log says why; it goes on by itself once archive_command or archive_library works.`,
      ];
    case 'unconfigured':
      if (waiting === 0) return [];
      return [
        `${name}: archive_mode is on, and neither archive_command nor archive_library says how to archive. ${pile} Set one of them, or archive_mode = off.`,
      ];
    case 'archiving':
      if (waitingBytes < BACKLOG_BYTES) return [];
      return [
        `${name}: WAL archiving is behind. ${pile} See whether archive_command hangs, or is too slow for what is written.`,
      ];
  }
}

/** What ALTER SYSTEM takes from the synchronous replication that is asked for. */
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
 * For whom synchronous replication does not hold as ALTER ROLE or ALTER DATABASE says so, one sentence; null where it
 * holds for all, or is not asked for.
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
