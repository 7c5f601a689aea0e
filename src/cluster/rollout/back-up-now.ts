import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { isRunningPrimary } from '../replication.ts';
import type { Rollout } from './rollout.ts';
import type { StepOf } from './step.ts';

/**
 * Returns the step that makes a backup now, of this `type`; the first backup of a cluster is a full one. Replicas need not
 * be reachable: it is made on the primary.
 */
export function planBackup(
  observed: readonly NodeObservation[],
  { desired, type }: { desired: DesiredCluster; type: StepOf<'backup'>['type'] },
): Rollout {
  const [primary] = observed.filter(isRunningPrimary);
  if (primary === undefined) {
    return refuse(
      'No node answers as the primary, and backups are made there. If the primary is lost, run the action with command: failover first.',
    );
  }
  const { name, files, backup } = primary;
  if (desired.backup === null || files.pgbackrestConf === null || backup === null) {
    return refuse(
      `${name} does not archive yet, so no backup can be made. Deploy first: that begins the archive and makes a full backup.`,
    );
  }
  if (backup.problem !== null) {
    return refuse(`The backups of ${name} cannot be read: ${backup.problem}`);
  }
  const hasFull = backup.backups.some((one) => one.type === 'full');
  return {
    kind: 'steps',
    primary: name,
    steps: [
      {
        kind: 'backup',
        nodes: [name],
        primary: name,
        type: hasFull ? type : 'full',
      },
    ],
    observeAgain: false,
  };
}

const refuse = (...refusals: readonly string[]): Rollout => ({ kind: 'refused', refusals });
