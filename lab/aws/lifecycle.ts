import type { Role } from './iam.ts';
import { ACCOUNT, makeId, type Snapshot, type Tables, type Tags, type Thing } from './world.ts';

/** A policy of Data Lifecycle Manager for snapshots of volumes. */
export interface LifecyclePolicy extends Thing {
  description: string;
  /** ARN */
  role: string;
  enabled: boolean;
  /** It takes a volume that bears any of them. */
  targetTags: Tags;
  schedule: {
    name: string;
    /** From the volume to its snapshots. */
    copyTags: boolean;
    /** Hours. */
    interval: number;
    /** `03:00`, in UTC. */
    times: string[];
    /** Snapshots of each volume that are kept. */
    count: number;
  };
}

/** Whether a role may do something to a thing, e.g. `ec2:CreateSnapshot` to a volume with these tags. */
type Decide = (role: Role, request: { action: string; resource: string; tags: Tags }) => boolean;

const nameTag = (policy: string) => ({ 'aws:dlm:lifecycle-policy-id': policy });

/**
 * Does what Data Lifecycle Manager does once for a policy: makes a snapshot of each volume that bears one of the target
 * tags, then deletes the oldest of its own beyond the count. `may` decides by the policies of its role; what is refused
 * is returned, e.g. `ec2:DeleteSnapshot snap-0a`. Nothing in the lab calls it by the clock.
 */
export function runLifecyclePolicy(
  id: string,
  { tables, at, may }: { tables: Tables; at: string; may: Decide },
): string[] {
  const policy = tables.lifecyclePolicies[id];
  const role = Object.values(tables.roles).find(({ arn }) => arn === policy?.role);
  if (policy === undefined || role === undefined || !policy.enabled) return [];
  const { region, targetTags, schedule } = policy;
  const refused: string[] = [];
  const isAllowed = (action: string, kind: 'snapshot' | 'volume', one: string, tags: Tags) => {
    const account = kind === 'volume' ? ACCOUNT : '';
    const resource = `arn:aws:ec2:${region}:${account}:${kind}/${one}`;
    const allowed = may(role, { action, resource, tags });
    if (!allowed) refused.push(`${action} ${one}`);
    return allowed;
  };
  const isTarget = (tags: Tags) =>
    Object.entries(targetTags).some(([key, value]) => tags[key] === value);
  for (const volume of Object.values(tables.volumes)) {
    if (volume.region !== region || !isTarget(volume.tags)) continue;
    const snapshot: Snapshot = {
      ...{ id: makeId('snap'), region, volume: volume.id, size: volume.size },
      ...{ encrypted: volume.encrypted, created: at },
      tags: { ...(schedule.copyTags && volume.tags), ...nameTag(id) },
    };
    const isMade =
      isAllowed('ec2:CreateSnapshot', 'volume', volume.id, volume.tags) &&
      isAllowed('ec2:CreateSnapshot', 'snapshot', snapshot.id, {}) &&
      isAllowed('ec2:CreateTags', 'snapshot', snapshot.id, {});
    if (isMade) tables.snapshots[snapshot.id] = snapshot;
    const made = Object.values(tables.snapshots).filter(
      (one) => one.volume === volume.id && one.tags['aws:dlm:lifecycle-policy-id'] === id,
    );
    const old = made.sort((a, b) => b.created.localeCompare(a.created)).slice(schedule.count);
    for (const one of old) {
      if (isAllowed('ec2:DeleteSnapshot', 'snapshot', one.id, one.tags)) {
        delete tables.snapshots[one.id];
      }
    }
  }
  return refused;
}
