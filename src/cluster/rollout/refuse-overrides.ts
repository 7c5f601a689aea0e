import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { isRunningPrimary } from '../replication.ts';
import { isRedundant } from '../settings/reserved.ts';
import { computeNodeSettings, findOverridesAbove, findOverridesBelow } from './node-settings.ts';

/**
 * Refuses values of ALTER SYSTEM that differ from the cluster's: postgresql.auto.conf overrides every file that a step
 * writes. A replica with less than its primary pauses replay, even after a restart (PostgreSQL manual, 26.4.3
 * "Administrator's Overview"), and any node may become the primary or a replica.
 */
export function refuseOverridden(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): string[] {
  const primary = observed.find(isRunningPrimary);
  if (!primary) return [];
  const stays = ({ name }: NodeObservation) => desired.nodes.some((node) => node.name === name);
  const members = observed.filter((node) => stays(node) || node === primary);
  if (desired.nodes.length === 1 && members.length === 1) return [];
  const nodeSettings = computeNodeSettings(desired, primary);
  const isAbove = (node: NodeObservation) =>
    findOverridesAbove(node, nodeSettings.replica).length > 0;
  // Another node has to take over.
  const isStuck = !stays(primary) && members.every((node) => node === primary || isAbove(node));
  // Nothing can be reset on a server that is down: it is cloned.
  const answering = members.filter(({ postgres }) => postgres !== null);
  return answering.flatMap((node) => {
    const isNext = node !== primary && (isStuck || node.name === desired.primary);
    const above = isNext ? findOverridesAbove(node, nodeSettings.replica) : [];
    // Its replicas cannot be lowered before the primary is.
    const below = findOverridesBelow(node, {
      settings: node === primary ? nodeSettings.final : nodeSettings.replica,
      members,
    });
    const when = node === primary ? 'once it is a replica its replay pauses' : 'its replay pauses';
    return [
      ...below.map((name) => ({ name, why: `below the rest of the cluster: ${when}` })),
      ...above.map((name) => ({
        name,
        why: 'above the rest of the cluster: once it is the primary the replay of the others pauses',
      })),
    ].map(
      ({ name, why }) =>
        `${node.name}: ALTER SYSTEM holds ${name} at ${node.overrides[name]} there, ${why}. Run ALTER SYSTEM RESET ${name} on ${node.name} and then this again; it restarts ${node.name} where it must.`,
    );
  });
}

/** Settings that make a node part of the cluster, and what happens to it when ALTER SYSTEM overrides them. */
const RESERVED_OVERRIDES: readonly { readonly names: RegExp; readonly why: string }[] = [
  {
    names: /^primary_(conninfo|slot_name)$/,
    why: 'as a replica it follows what that says instead of the primary',
  },
  {
    names: /^(restore_command|recovery_target.*|recovery_min_apply_delay|promote_trigger_file)$/,
    why: 'as a replica it replays what that says instead of everything that the primary wrote',
  },
  {
    names: /^(port|listen_addresses|unix_socket_directories|hot_standby)$/,
    why: 'after its next start neither the other nodes nor this action may reach it',
  },
];

/**
 * A replica that cannot follow would be cloned, and the clone copies the primary's postgresql.auto.conf. The values are not
 * shown: they may contain passwords.
 */
export function refuseReservedOverrides(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): string[] {
  if (!observed.some(isRunningPrimary)) return [];
  if (desired.nodes.length === 1 && observed.length === 1) return [];
  const context = { replicaCount: null, synchronousReplicas: null, major: null };
  // Nothing can be reset on a server that is down: it is cloned.
  return observed
    .filter(({ postgres }) => postgres !== null)
    .flatMap(({ name: node, overrides }) =>
      Object.entries(overrides).flatMap(([name, value]) => {
        const held = RESERVED_OVERRIDES.find(({ names }) => names.test(name));
        if (held === undefined || isRedundant({ name, value }, context)) return [];
        return [
          `${node}: ALTER SYSTEM holds ${name} there, which goes before what this action writes: ${held.why}. Run ALTER SYSTEM RESET ${name} on ${node} and then this again.`,
        ];
      }),
    );
}
