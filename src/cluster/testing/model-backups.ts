import { renderBackupFiles } from '../backup-configuration.ts';
import type { BackupObservation } from '../observation.ts';
import type { Step, StepOf } from '../rollout/step.ts';
import type { ModelCluster } from './model.ts';
import { type ModelNode, Violation } from './model-node.ts';

// Backups of the model, and the rules that no step of a rollout may break.

/** Installs or removes the programs for backups. The server calls them while it archives. */
export function changeTools(node: ModelNode, { tools }: StepOf<'prepare'>): void {
  if (tools === undefined) return;
  if (tools === 'remove' && node.files.pgbackrestConf !== null) {
    throw new Violation(`${node.name} archives, and the programs for that are removed`);
  }
  node.hasTools = tools === 'install';
}

/** Begins to archive on the nodes, or ends it. */
export function archive(cluster: ModelCluster, step: StepOf<'archive'>): void {
  const { primary, desired } = cluster;
  if (primary === undefined || primary.name !== step.primary) {
    throw new Violation(`${step.primary} archives and is not the primary`);
  }
  const files = renderBackupFiles(desired);
  const repository = readRepository(files.pgbackrestConf);
  for (const node of step.nodes.map((name) => cluster.get(name))) {
    if (repository !== null) {
      requireReady(node);
      // Nothing was archived there before, or not since the archive ended or moved.
      if (node === primary && readRepository(node.files.pgbackrestConf) !== repository) {
        const { backups = 0 } = cluster.repositories.get(repository) ?? {};
        cluster.repositories.set(repository, { backups, hasGap: true, since: primary.lsn });
      }
      if (!cluster.repositories.has(repository)) {
        throw new Violation(`${node.name} archives into nothing`);
      }
    }
    node.files = { ...node.files, ...files };
  }
}

/** Whether WAL is archived once the node is the primary: nothing restarts it for that. */
function requireReady({ name, hasTools, container, containerCurrent, settings }: ModelNode): void {
  if (!hasTools) throw new Violation(`${name} archives without programs`);
  if (container !== 'running') throw new Violation(`${name} archives and is down`);
  if (!containerCurrent) throw new Violation(`${name} archives in an old container`);
  if (settings.archive_mode !== 'on') throw new Violation(`${name} archives and does not`);
}

/** From its promotion on the node makes the backups, and deletes what its file says. Only people decide what is deleted. */
export function takeOverBackups(
  { desired }: ModelCluster,
  node: ModelNode,
  { holdsExpiry = false }: { holdsExpiry?: boolean },
): void {
  const { pgbackrestConf } = node.files;
  if (pgbackrestConf === null) return;
  if (holdsExpiry) {
    const held = pgbackrestConf.replace(/^\[global\](?!\nexpire-auto)/m, '[global]\nexpire-auto=n');
    node.files = { ...node.files, pgbackrestConf: held };
  } else if (readPolicy(pgbackrestConf) !== readPolicy(renderBackupFiles(desired).pgbackrestConf)) {
    throw new Violation(`${node.name} deletes backups by the policy of an earlier deploy`);
  }
}

/** Returns the lines of pgbackrest.conf that say what is deleted where. */
const readPolicy = (conf: string | null): string =>
  `${readRepository(conf)} ${/^repo1-retention-full=.*$/m.exec(conf ?? '')?.[0]}`;

/** Makes a backup. */
export function backUp(cluster: ModelCluster, { nodes: [name], type }: StepOf<'backup'>): void {
  const node = cluster.get(name);
  const repository = readRepository(node.files.pgbackrestConf);
  const found = repository === null ? undefined : cluster.repositories.get(repository);
  if (node !== cluster.primary || found === undefined) {
    throw new Violation(`${name} is backed up and does not archive`);
  }
  if (!found.hasGap || type !== 'full') throw new Violation(`${name} is backed up without need`);
  found.backups += 1;
  found.hasGap = false;
}

/** A cluster begins with what was asked for, an empty database or backups. */
export function requireSource({ desired }: ModelCluster, node: ModelNode, step: Step): void {
  if ((step.kind === 'restore') !== (desired.restore !== null)) {
    throw new Violation(`${step.kind} of ${node.name} was not asked for`);
  }
  if (step.kind === 'restore' && !node.hasTools) {
    throw new Violation(`${node.name} restored without programs`);
  }
}

/** Returns what the playbook would report about the backups of a node. */
export function observeRepository(
  cluster: ModelCluster,
  node: ModelNode,
): BackupObservation | null {
  const repository = readRepository(node.files.pgbackrestConf);
  const isPrimary = node.container === 'running' && !node.inRecovery;
  if (repository === null || !isPrimary || !node.hasTools) return null;
  const full = { label: '20261122-023000F', type: 'full', started: 1, ended: 2 } as const;
  const sizes = { databaseBytes: 0, repositoryBytes: 0, damaged: false, missingSince: null };
  const found = cluster.repositories.get(repository);
  return {
    problem: null,
    systemIdentifier: '7',
    backups: (found?.backups ?? 0) > 0 ? [{ ...full, ...sizes }] : [],
    ...{
      oldestWal: nameSegment(found?.since ?? 0),
      newestWal: null,
      walBytes: null,
      archivedAt: null,
    },
    ...{ dropped: null, running: null, last: null },
  };
}

/** Returns the first complete segment of 16 MiB from a position on, in MiB. */
const nameSegment = (lsn: number): string =>
  `0000000100000000${Math.ceil(lsn / 16)
    .toString(16)
    .toUpperCase()
    .padStart(8, '0')}`;

/** A replica replays what its primary no longer has from the archive into which the primary archives. */
export function takeFromArchive(cluster: ModelCluster, node: ModelNode): void {
  const upstream = cluster.upstreamOf(node);
  if (upstream === undefined || node.lsn >= upstream.oldest) return;
  const repository = readRepository(upstream.files.pgbackrestConf);
  const found = repository === null ? undefined : cluster.repositories.get(repository);
  if (found === undefined || node.files.pgbackrestConf === null || !node.hasTools) {
    throw new Violation(`${node.name} takes WAL from no archive`);
  }
  if (!node.containerCurrent) throw new Violation(`${node.name} takes WAL in an old container`);
  // The node asks before it begins.
  if (node.lsn < found.since) return;
  const end =
    node.timeline === upstream.timeline
      ? upstream.lsn
      : upstream.history.find(({ timeline }) => timeline === node.timeline)?.end;
  if (end === undefined || node.lsn > end) {
    throw new Violation(`${node.name} replays WAL of another history`);
  }
  Object.assign(node, { lsn: upstream.lsn, replayed: upstream.lsn, timeline: upstream.timeline });
  node.history = structuredClone(upstream.history);
}

/** Returns the lines of pgbackrest.conf that say where the repository is; null without a file. */
function readRepository(conf: string | null): string | null {
  return conf === null ? null : (conf.match(/^repo1-(?:path|s3-bucket)=.*$/gm) ?? []).join();
}
