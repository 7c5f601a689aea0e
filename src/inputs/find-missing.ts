import { type Intent, isConfiguring } from '../runner/intent.ts';
import { checkRehearsal } from './check-rehearsal.ts';
import { checkRemoval } from './check-removal.ts';
import { listCipherKeys } from './cipher-keys.ts';
import { type ClusterKey, nameInput } from './cluster-schema.ts';
import { type Description, readValue } from './description.ts';
import type { RawInputs } from './step-inputs.ts';

/** The run that uses a description. */
export interface Purpose {
  readonly intent: Intent;
  /** All inputs of the step. */
  readonly call: RawInputs;
  /** Names, in messages, of inputs that may have come in a body. */
  readonly repairNames: Readonly<Record<string, string>>;
  /** Name of the cluster file in messages; null if the inputs describe the cluster. */
  readonly path: string | null;
  /** Whether a part of the cluster file could not be read. Then no value is reported as missing. */
  readonly isPartial: boolean;
}

/** Lists the missing inputs that the run needs. */
export function findMissing(description: Description, purpose: Purpose): string[] {
  const { call, intent, path, isPartial } = purpose;
  const operation = intent.kind === 'operation' ? intent.operation : null;
  const deploys = intent.kind === 'deploy';
  const reviews = intent.kind === 'review' || intent.kind === 'drift';
  const plans = deploys || reviews || operation === 'plan' || operation === 'apply';
  const configures = isConfiguring(intent);
  const problems: string[] = [];
  const need = (key: ClusterKey, why: string) => {
    if (isPartial) return;
    const value = description.get(key)?.value;
    if (value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0))
      return;
    const name = path === null ? nameInput(key) : `${path}:1: ${key}`;
    problems.push(`${name}: missing. ${why}`);
  };
  const withoutSecrets = 'withoutSecrets' in intent ? intent.withoutSecrets : null;
  const needSecret = (name: string, why: string) => {
    if ((call[name] ?? '') !== '') return;
    const reason =
      withoutSecrets === null
        ? why
        : `GitHub gives no secrets to ${withoutSecrets}. Deploy on push, and let a person merge.`;
    problems.push(`${name}: missing. ${reason}`);
  };
  // Several files with the default name would describe one cluster.
  if (!isPartial && path !== null && description.get('cluster_name')?.source === 'default') {
    problems.push(
      `${path}:1: cluster_name: missing. It identifies the cluster; write e.g. cluster_name: orders.`,
    );
  }
  if (intent.kind === 'replace') {
    if ((call.replace ?? '') === '') {
      problems.push('replace: missing. Name the node that gets a new instance, e.g. node-2.');
    }
    const label = readValue(description, 'allow_destroy_label') ?? '';
    if (call['replace-volume'] === 'true' && label === '') {
      problems.push(
        `${purpose.repairNames['replace-volume']}: "true" is not allowed. It destroys the node's data volume, and allow-destroy-label is empty, so no volume may be destroyed. Name a label there first.`,
      );
    }
  }
  if (intent.kind === 'failover') {
    // In a form that is filled in by hand, the node is easily forgotten, and then the command is failover.
    for (const [flag, key] of [
      ['replace-volume', 'replace'],
      ['discard-data', 'discard'],
    ] as const) {
      if (call[flag] !== 'true') continue;
      problems.push(
        `${flag}: "true" is not allowed with command: failover. Name the node in ${key} and set command: ${key}, or leave ${flag} empty.`,
      );
    }
  }
  if (intent.kind === 'discard' && (call.discard ?? '') === '') {
    problems.push(
      'discard: missing. Name the node whose kept data directories are deleted, e.g. node-2.',
    );
  }
  // A rehearsal without it removes what an earlier one left.
  if (intent.kind === 'backup') {
    need('backup', 'It names the bucket that backups are kept in. Deploy with it first.');
  }
  problems.push(...checkRemoval(description, purpose), ...checkRehearsal(description, purpose));
  if (configures) {
    const store = 'Keep it as a repository or environment secret';
    needSecret(
      'postgres-password',
      `It is the superuser's password. ${store}, e.g. \${{ secrets.POSTGRES_PASSWORD }}.`,
    );
    needSecret(
      'replication-password',
      `Replicas log in with it. ${store}, e.g. \${{ secrets.REPLICATION_PASSWORD }}.`,
    );
  }
  if (configures) {
    for (const { name, why } of listCipherKeys(description, call)) needSecret(name, why);
  }
  // Runs without secrets see only the user name. The login is required only where nodes pull an image.
  if (configures && (call['registry-username'] ?? '') !== '') {
    needSecret(
      'registry-password',
      `registry-username is given, and the nodes log in to the registry of image with both. Keep it as a secret that this job can read, e.g. \${{ secrets.REGISTRY_PASSWORD }}.`,
    );
  }
  if (intent.kind === 'deploy' || (intent.kind === 'review' && withoutSecrets === null)) {
    if (readValue(description, 'require_signature') === true) {
      needSecret(
        'review-key',
        `require-signature is true, so what is reviewed must be signed. Keep the output of openssl rand -hex 32 as a secret that this job can read, e.g. \${{ secrets.REVIEW_KEY }}.`,
      );
    }
  }
  const hasPublicKey = (description.get('ssh_public_key')?.value ?? '') !== '';
  // A run without secrets plans with a substitute key.
  if (configures || (plans && withoutSecrets === null && !hasPublicKey)) {
    needSecret(
      'ssh-private-key',
      `${configures ? 'Ansible logs in with it' : 'Its public half goes into the key pair, and a plan uses it to inspect the nodes; ssh-public-key alone is enough for a plan without that'}. Make one with ssh-keygen -t ed25519 and keep it as a secret, e.g. \${{ secrets.SSH_PRIVATE_KEY }}.`,
    );
  }
  if ((reviews || deploys) && readValue(description, 'ssh_via') === 'direct') {
    need(
      'ssh_cidrs',
      'With ssh-via: direct and without it, port 22 is closed, also to the runner that configures the nodes. Name the networks of your runners, e.g. 203.0.113.0/24, or leave ssh-via out: the nodes are then reached through an EC2 Instance Connect Endpoint.',
    );
  }
  if (plans || configures || intent.kind === 'destroy') {
    need(
      'backend',
      `Terraform would keep its state in a file of the workspace, which a hosted runner deletes and actions/checkout cleans, so the next run would build a second cluster. Name a backend, e.g. backend: s3 with its bucket, key and region in ${path === null ? 'backend-config' : 'backend_config'}; to use a local file anyway, set backend: local.`,
    );
  }
  return problems;
}
