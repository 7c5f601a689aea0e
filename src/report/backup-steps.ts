import { locateRepository } from '../cluster/backup.ts';
import type { Step, StepOf } from '../cluster/rollout/step.ts';
import { renderCode, shortenText } from './markdown.ts';

/** Describes a step that concerns backups, as a sentence in Markdown. */
export function describeBackupStep(step: StepOf<'restore' | 'archive' | 'backup'>): string {
  const nodes = step.nodes.map(renderCode).join(', ');
  switch (step.kind) {
    case 'restore': {
      const { source, time } = step;
      const place = `s3://${source.bucket}${locateRepository(source)}`;
      const moment = time === null ? 'the newest moment' : renderCode(time);
      return `**Restore** ${nodes} from the backups in ${renderCode(shortenText(place, 400))} to ${moment}; it becomes the primary. The backups are only read.`;
    }
    case 'archive':
      return `**Set up archiving** on ${nodes}: where WAL and backups go, and when backups are made, without a restart or a reload.`;
    case 'backup':
      return `**Back up** ${nodes}: ${step.type === 'full' ? 'a full backup' : 'an incremental backup'}; PostgreSQL keeps running, and the backup does not depend on this run.`;
  }
}

/** Returns the effects of the steps on backups for a headline, e.g. `full backup`; [] without any. */
export function summarizeBackupSteps(steps: readonly Step[]): string[] {
  return steps.flatMap((step) => {
    switch (step.kind) {
      case 'restore':
        return ['restored from backups'];
      case 'backup':
        return [`${step.type} backup`];
      default:
        return [];
    }
  });
}
