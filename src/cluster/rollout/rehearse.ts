import type { DesiredCluster } from '../desired.ts';
import { namesOf } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import type { RehearsalRecord } from '../rehearsal.ts';
import { isRunningPrimary } from '../replication.ts';
import { archivesTo } from './backups.ts';
import type { Rollout } from './rollout.ts';
import type { Step } from './step.ts';

// What a rehearsal does on the nodes of the cluster whose restore is rehearsed. No server is touched.

/** Does nothing: the proof that follows writes the canary. Refused without a primary that has a backup to restore. */
export function planCanary(observed: readonly NodeObservation[], desired: DesiredCluster): Rollout {
  const [primary] = observed.filter(isRunningPrimary);
  if (primary === undefined) {
    return refuse(
      'No node answers as the primary, so there is nothing to compare a restore with. If the primary is lost, run the action with command: failover first.',
    );
  }
  const { name, files, backup } = primary;
  if (desired.backup === null || files.pgbackrestConf === null || backup === null) {
    return refuse(
      `${name} does not archive yet, so there is nothing to restore. Deploy first: that begins the archive and makes a full backup.`,
    );
  }
  if (!archivesTo(primary, { backup: desired.backup, cluster: desired.name })) {
    return refuse(
      `${name} archives to another place than backup names, so nothing would be found there. Deploy first: that moves the backups.`,
    );
  }
  if (backup.problem !== null) {
    return refuse(`The backups of ${name} cannot be read: ${backup.problem}`);
  }
  if (backup.backups.length === 0) {
    return refuse(
      `${name} has no backup yet. Run the action with command: backup, or wait for the first one.`,
    );
  }
  return { kind: 'steps', primary: name, steps: [], observeAgain: false };
}

/** Makes all nodes that answer remember a rehearsal: whichever of them is asked later, knows it. */
export function planRecord(
  observed: readonly NodeObservation[],
  rehearsal: RehearsalRecord,
): Rollout {
  const primary = observed.find(isRunningPrimary) ?? observed[0];
  if (primary === undefined) return refuse('No node answers, so none can remember the rehearsal.');
  const { name } = primary;
  const step: Step = { kind: 'record', nodes: namesOf(observed), primary: name, rehearsal };
  return { kind: 'steps', primary: name, steps: [step], observeAgain: false };
}

const refuse = (...refusals: readonly string[]): Rollout => ({ kind: 'refused', refusals });
