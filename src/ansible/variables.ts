import type { Cipher } from '../cluster/backup.ts';
import { renderBackupFiles, renderRestoreConf } from '../cluster/backup-configuration.ts';
import { type DesiredCluster, renderFiles } from '../cluster/desired.ts';
import type { PinnedImage } from '../cluster/image.ts';
import { listImageNeeds } from '../cluster/rollout/image-needs.ts';
import {
  isTerraformStep,
  type Step,
  type StepOf,
  withoutReasons,
} from '../cluster/rollout/step.ts';
import { HOT_STANDBY_SENSITIVE, mergeSettings } from '../cluster/settings/settings.ts';
import type { Secrets } from '../inputs/inputs.ts';
import { explainPermission, isAllowed, type PermissionLabel } from '../inputs/permission-label.ts';
import type { PublicKeys } from '../inputs/ssh-key.ts';
import { UserError } from '../messages/errors.ts';
import { quoteValue } from '../messages/quote-value.ts';

/**
 * Renders the variables of the playbooks as JSON. They include passwords, so the file has mode 0600.
 *
 * @param options.rollout `primary` is the primary after the last step, which provides the proof. Without a token nothing
 *   is proved. `listsCanary` asks for what a rehearsal compares. `image` pins the requested image, null if its digest is
 *   unknown. `collationLabel` allows an image that sorts text differently.
 * @param options.waitSeconds how long an observation waits for a node that cannot be reached, and a step for a volume that
 *   EC2 has yet to grow
 * @param options.lookSeconds limit of one observation, including the wait; 0: no limit
 * @param options.freshNodes nodes whose instance this run has created: they may refuse the key at first
 * @param options.hasInstanceProfile whether nodes without a registry password log in to Amazon ECR with their profile
 * @throws UserError if Ansible would read a variable as a template
 * @throws Error if a step belongs to Terraform
 */
export function renderVariables(options: {
  desired: DesiredCluster;
  secrets: Pick<Secrets, 'postgresPassword' | 'replicationPassword'> &
    Partial<
      Pick<
        Secrets,
        'registryUsername' | 'registryPassword' | 'backupCipherKey' | 'restoreCipherKey'
      >
    >;
  keys: PublicKeys;
  rollout?: {
    primary: string;
    steps: readonly Step[];
    proofToken: string | null;
    listsCanary?: boolean;
    image: PinnedImage | null;
    collationLabel: PermissionLabel;
  };
  waitSeconds?: number;
  lookSeconds?: number;
  freshNodes?: readonly string[];
  hasInstanceProfile?: boolean;
}): string {
  const { desired, secrets, keys, rollout } = options;
  const {
    waitSeconds = 300,
    lookSeconds = 0,
    freshNodes = [],
    hasInstanceProfile = false,
  } = options;
  return JSON.stringify(
    requireInert('', {
      cluster_name: desired.name,
      cluster_image: desired.image,
      cluster_authorized_key: keys.current,
      cluster_retired_keys: keys.retired,
      cluster_superuser_secret: encode(secrets.postgresPassword),
      cluster_replication_secret: encode(secrets.replicationPassword),
      ...encodeCipherKeys(desired, secrets),
      cluster_registry_username: encode(secrets.registryUsername ?? ''),
      cluster_registry_secret: encode(secrets.registryPassword ?? ''),
      cluster_registry_instance_profile: hasInstanceProfile,
      cluster_settings: listSettings(desired),
      cluster_image_needs: encode(
        JSON.stringify(listImageNeeds(desired.settings).map(({ kind, name }) => ({ kind, name }))),
      ),
      cluster_wait_seconds: waitSeconds,
      cluster_look_seconds: lookSeconds,
      cluster_fresh_nodes: freshNodes,
      ...(rollout && {
        cluster_primary: rollout.primary,
        cluster_leaving: desired.leaving.map(({ name }) => name),
        cluster_proof_token: rollout.proofToken,
        cluster_lists_canary: rollout.listsCanary ?? false,
        cluster_known_images: rollout.image === null ? [] : [rollout.image],
        cluster_collation_change: isAllowed(rollout.collationLabel),
        cluster_collation_way_out: encode(explainPermission(rollout.collationLabel)),
        cluster_steps: rollout.steps.map((step) => renderStep(step, desired)),
      }),
    }),
  );
}

/** The start of a template (Jinja, "Template Designer Documentation"). */
const TEMPLATE = /\{[{%#]/;

/**
 * Returns the variables unchanged if Ansible reads none of them as a template. Free text is encoded before; this is the
 * last check of everything that is written.
 *
 * @throws UserError that names the variable
 */
function requireInert<Value>(name: string, value: Value): Value {
  if (typeof value === 'string' && TEMPLATE.test(value)) {
    throw new UserError(
      `${name} is ${quoteValue(value)}, which Ansible would run as a template, so nothing was started. Remove the braces from where it comes from.`,
    );
  }
  if (typeof value === 'object' && value !== null) {
    for (const [key, entry] of Object.entries(value)) {
      requireInert(name, key);
      requireInert(name === '' ? key : `${name}.${key}`, entry);
    }
  }
  return value;
}

/** The names to look up in `pg_settings`, in lower case, as it compares them. */
function listSettings({ settings, storage }: DesiredCluster): string[] {
  const names = [
    ...Object.keys(mergeSettings(settings, storage)),
    'synchronous_standby_names',
    'sync_replication_slots',
    ...HOT_STANDBY_SENSITIVE,
  ];
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

/** A step with the configuration files of its nodes, so that the playbooks decide nothing. */
function renderStep(step: Step, desired: DesiredCluster): unknown {
  if (isTerraformStep(step))
    throw new Error(`${step.kind} is a step of Terraform's, not of Ansible's`);
  if (step.kind === 'archive') return renderArchive(withoutReasons(step), desired);
  if (!('settings' in step)) return withoutReasons(step);
  const { settings, reasons, ...rest } = step;
  const files = step.nodes.map((node) => {
    const { primary } = step;
    const { postgresqlConf, pgHba } = renderFiles(desired, { node, primary, settings });
    return [node, { postgresqlConf: encode(postgresqlConf), pgHba: encode(pgHba) }];
  });
  const confs = step.kind === 'restore' && renderRestore(step, desired);
  return { ...rest, files: Object.fromEntries(files), ...(confs || {}) };
}

/** Empty files end the archive. */
function renderArchive(step: Omit<StepOf<'archive'>, 'reasons'>, desired: DesiredCluster): unknown {
  const { pgbackrestConf, backupJson } = renderBackupFiles(desired);
  const files = {
    pgbackrestConf: encode(pgbackrestConf ?? ''),
    backupJson: encode(backupJson ?? ''),
  };
  return { ...step, files: Object.fromEntries(step.nodes.map((node) => [node, files])) };
}

/** What reads the source, and what the cluster will archive with, empty without backups: it must not fail after the restore. */
function renderRestore(
  { source }: StepOf<'restore'>,
  desired: DesiredCluster,
): { restoreConf: string; ownConf: string } {
  return {
    restoreConf: encode(renderRestoreConf(source, desired.region)),
    ownConf: encode(renderBackupFiles(desired).pgbackrestConf ?? ''),
  };
}

/** The keys of the repositories that are encrypted; empty for the others. */
function encodeCipherKeys(
  { backup, restore }: DesiredCluster,
  { backupCipherKey = '', restoreCipherKey = '' }: Partial<Secrets>,
): Readonly<Record<string, string>> {
  const isEncrypted = (of: { readonly cipher: Cipher } | undefined | null) =>
    (of?.cipher ?? 'none') !== 'none';
  return {
    cluster_backup_cipher_secret: encode(isEncrypted(backup) ? backupCipherKey : ''),
    cluster_restore_cipher_secret: encode(
      isEncrypted(restore?.from) ? restoreCipherKey || backupCipherKey : '',
    ),
  };
}

/** Encodes free text as base64, because Ansible reads `{{ … }}` in any variable as a template. */
function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
