import { locateRepository } from '../cluster/backup.ts';
import type { Step, StepOf } from '../cluster/rollout/step.ts';
import { renderCode, shortenText } from './markdown.ts';

/** Describes a step that concerns backups, as a sentence in Markdown. */
export function describeBackupStep(
  step: StepOf<'restore' | 'archive' | 'backup' | 'verify' | 'record'>,
): string {
  const nodes = step.nodes.map(renderCode).join(', ');
  switch (step.kind) {
    case 'restore': {
      const { source, time } = step;
      const place = `s3://${source.bucket}${locateRepository(source)}`;
      const moment = time === null ? 'the newest moment' : renderCode(time);
      return `**Restore** ${nodes} from the backups in ${renderCode(shortenText(place, 400))} to ${moment}; it becomes the primary. The backups are only read.`;
    }
    case 'archive':
      return describeArchive(nodes, step);
    case 'backup':
      return `**Back up** ${nodes}: ${step.type === 'full' ? 'a full backup' : 'an incremental backup'}; PostgreSQL keeps running, and the backup does not depend on this run.`;
    case 'verify':
      return `**Verify** ${nodes}: \`pg_amcheck\` reads every table and B-tree index, and the test row, roles and databases that the cluster had at that moment are looked for.`;
    case 'record':
      return `**Record** the rehearsal on ${nodes}: comments and drift checks say when it was. No PostgreSQL is touched.`;
  }
}

function describeArchive(nodes: string, { reasons = {} }: Step): string {
  const changes = new Set(
    Object.values(reasons).flatMap((list) =>
      list.flatMap((reason) => (reason.kind === 'archive' ? [reason.change] : [])),
    ),
  );
  const [change] = changes.size === 1 ? changes : [];
  const how = 'No restart, no reload.';
  switch (change) {
    case 'begins':
      return `**Begin to archive** on ${nodes}: WAL goes to the bucket from now on. ${how}`;
    case 'ends':
      return `**End archiving** on ${nodes}: no more WAL goes to the bucket, and no more backups are made. ${how}`;
    default:
      return `**Change backups** on ${nodes}: where they go, when they are made and how long they are kept. ${how}`;
  }
}

/** Returns the effects of the steps on backups for a headline, e.g. `backups begin`, `full backup`; [] without any. */
export function summarizeBackupSteps(steps: readonly Step[]): string[] {
  return steps.flatMap((step) => {
    switch (step.kind) {
      case 'restore':
        return ['restored from backups'];
      case 'archive':
        return summarizeArchive(step, steps);
      case 'backup':
        return [`${step.type} backup`];
      default:
        return [];
    }
  });
}

/** What becomes of the cluster's backups, by what changes on its primary. */
const ARCHIVE_EFFECTS = {
  begins: 'backups begin',
  ends: 'backups end',
  repository: 'backups move',
  options: 'backups change',
} as const;

function summarizeArchive(
  { nodes, primary, reasons = {} }: StepOf<'archive'>,
  steps: readonly Step[],
): string[] {
  const findChange = (node: string) => {
    const reason = reasons[node]?.find(({ kind }) => kind === 'archive');
    return reason?.kind === 'archive' ? reason.change : 'options';
  };
  if (nodes.includes(primary)) return [ARCHIVE_EFFECTS[findChange(primary)]];
  // The primary has its files already, and a replica gets them for the day it becomes the primary: a new one like the rest
  // of a clone, another because it was away.
  const isCloned = (node: string) =>
    steps.some((step) => step.kind === 'clone' && step.nodes.some((name) => name === node));
  const others = nodes.filter((node) => !isCloned(node));
  if (others.length === 0) return [];
  const changes = new Set(others.map(findChange));
  const [change] = changes.size === 1 ? changes : [];
  return [`${ARCHIVE_EFFECTS[change ?? 'options']} on ${others.join(', ')}`];
}
