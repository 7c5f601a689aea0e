import { locateRepository } from '../backup.ts';
import { findDeployedBackup, isSameRepository } from '../deployed-backup.ts';
import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { findPrimary, isCopying, isRunningPrimary } from '../replication.ts';
import { findOwnArchiving } from '../settings/archiving.ts';

/** The first release whose pgBackRest can do what is asked of it. */
const OLDEST_DEBIAN = 13;

/**
 * Returns why backups cannot be begun or used as asked. A repair changes nothing about them, and is not refused for them.
 * Backups that cannot be read refuse nothing: a deploy must not wait for them.
 */
export function refuseBackups(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): string[] {
  return [
    ...refuseForgottenRestore(observed, desired),
    ...(desired.keepsStorage
      ? []
      : [
          ...refuseOldHost(observed, desired),
          ...refuseForeignRepository(observed, desired),
          ...refuseOtherCipher(observed, desired),
          ...refuseOverriddenArchiving(observed, desired),
        ]),
  ];
}

function refuseOldHost(observed: readonly NodeObservation[], desired: DesiredCluster): string[] {
  const { backup, restore, nodes } = desired;
  const isRestored = restore !== null && !observed.some(({ data }) => data === 'complete');
  const members = nodes.flatMap(({ name }) => observed.find((node) => node.name === name) ?? []);
  const needed = backup !== null ? members : isRestored ? members.slice(0, 1) : [];
  return needed
    .filter(({ host: { debian } }) => debian === null || debian < OLDEST_DEBIAN)
    .map(({ name, host: { debian } }) => {
      const found = debian === null ? 'another system than Debian' : `Debian ${debian}`;
      return `${name} runs ${found}, and backups need the pgBackRest of Debian ${OLDEST_DEBIAN}. Run the action with command: replace and replace: ${name}, which gives it a new instance with Debian ${OLDEST_DEBIAN} and keeps its data volume, and deploy again; or remove backup.`;
    });
}

function refuseForeignRepository(
  observed: readonly NodeObservation[],
  { name, backup }: DesiredCluster,
): string[] {
  const primary = observed.find(isRunningPrimary);
  const found = primary?.backup?.systemIdentifier ?? null;
  const own = primary?.postgres?.systemIdentifier;
  if (backup === null || primary === undefined || found === null || found === own) return [];
  const path = locateRepository({ prefix: backup.prefix, cluster: name });
  return [
    `backup: s3://${backup.bucket}${path} has the backups of another database cluster (system identifier ${found}; ${primary.name} has ${own}). Give another prefix, so that neither overwrites the other; to continue from those backups, restore them into a new cluster (restore).`,
  ];
}

/** pgBackRest encrypts a whole repository, with the key that it began with. */
function refuseOtherCipher(
  observed: readonly NodeObservation[],
  { name: cluster, backup }: DesiredCluster,
): string[] {
  const deployed = findDeployedBackup(observed);
  if (backup === null || deployed === null || !isSameRepository(deployed, { backup, cluster })) {
    return [];
  }
  const place = `s3://${deployed.bucket}${deployed.path}`;
  const next =
    'To begin a new repository, give another backup.prefix: the next deploy makes a full backup there, and what the former one holds stays as it is';
  if (deployed.cipher !== backup.cipher) {
    const found = deployed.cipher === 'none' ? 'not encrypted' : `encrypted (${deployed.cipher})`;
    return [
      `backup.cipher: ${place} is ${found}, and pgBackRest cannot change that. ${next}. To go on there, give cipher: ${deployed.cipher}.`,
    ];
  }
  const name = findPrimary(observed);
  if (observed.find((node) => node.name === name)?.host.backupKeyCurrent !== false) return [];
  return [
    `backup-cipher-key: it is not the key that ${place} is encrypted with, which ${name} has, and pgBackRest cannot change it. Give that key again. ${next}, readable with its own key only: keep that.`,
  ];
}

/** Ending a restore is a decision of its own: it may have run for hours. */
function refuseForgottenRestore(
  observed: readonly NodeObservation[],
  { name: cluster, restore }: DesiredCluster,
): string[] {
  if (restore !== null) return [];
  return observed
    .filter((node) => node.work?.kind === 'restore' && isCopying(node) && node.data !== 'complete')
    .map(
      ({ name, work }) =>
        `${name} is being restored from ${work?.source}, and restore is not asked for any more, so no empty cluster is initialised. Put restore back, and this goes on; or end it on ${name} first (systemctl stop postgres-cluster-${cluster}-clone.service).`,
    );
}

/** The values are not shown: a command may contain a password. */
function refuseOverriddenArchiving(
  observed: readonly NodeObservation[],
  { backup, nodes, settings }: DesiredCluster,
): string[] {
  if (backup === null && findOwnArchiving(settings).length > 0) return [];
  // Nothing can be reset on a server that is down.
  return observed
    .filter(({ name, postgres }) => postgres !== null && nodes.some((node) => node.name === name))
    .flatMap(({ name, overrides }) =>
      findOwnArchiving(overrides).map((setting) =>
        backup === null
          ? `${name}: ALTER SYSTEM holds ${setting} there, and servers now run with archive_mode = on and a command that does nothing without backup. Put your way of archiving into settings (archive_mode, and archive_command or archive_library), or run ALTER SYSTEM RESET ${setting} on ${name}; then run this again.`
          : `${name}: ALTER SYSTEM holds ${setting} there, which goes before what this action writes: as the primary its WAL would not reach the backups. Run ALTER SYSTEM RESET ${setting} on ${name} and then this again.`,
      ),
    );
}
