// node docs/reference/inputs.ts writes the tables of inputs and outputs in inputs.md from action.yml. A test fails if they
// differ.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ActionMetadata, loadActionMetadata } from '../../lab/runner/metadata.ts';

/** The page that has the tables. */
export const PAGE = join(import.meta.dirname, 'inputs.md');

/** The inputs by what they describe, in the order of the page. */
export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'The cluster': [
    'cluster-file',
    'cluster-name',
    'region',
    'instance-type',
    'replica-count',
    'tags',
    'request',
  ],
  PostgreSQL: [
    'image',
    'image-tag',
    'max-connections',
    'shared-buffers',
    'settings',
    'primary',
    'synchronous-replicas',
  ],
  'Network and access': [
    'ssh-via',
    'instance-connect-endpoint-id',
    'ssh-cidrs',
    'ssh-address',
    'ssh-user',
    'ssh-public-key',
    'client-cidrs',
    'dns-zone-id',
    'vpc-cidr',
    'subnet-ids',
    'internet-via',
    'avoid-zones',
    'instance-profile',
  ],
  'Volumes and copies': [
    'data-volume-size',
    'data-volume-iops',
    'data-volume-throughput',
    'root-volume-size',
    'kms-key-id',
    'storage-alert-percent',
    'clone-from',
    'clone-max-rate',
    'wait-minutes',
  ],
  Backups: ['backup', 'restore', 'snapshots'],
  'The state': ['backend', 'backend-config', 'working-directory', 'terraform-binary'],
  Secrets: [
    'ssh-private-key',
    'postgres-password',
    'replication-password',
    'registry-username',
    'registry-password',
    'backup-cipher-key',
    'restore-cipher-key',
    'review-key',
    'github-token',
  ],
  'Reviews and permission': [
    'allow-destroy-label',
    'allow-collation-label',
    'allow-slot-loss-label',
    'allow-plan-label',
    'on-plan-change',
    'require-signature',
    'comment',
    'label-prefix',
  ],
  'A single run': [
    'command',
    'fenced',
    'replace',
    'replace-volume',
    'discard',
    'discard-data',
    'backup-type',
    'destroy',
  ],
};

/** The inputs without a default that a run cannot do without, and when. */
export const REQUIRED: Readonly<Record<string, string>> = {
  'cluster-name': 'in a cluster file',
  backend: 'to plan, apply and configure',
  'ssh-cidrs': 'with `ssh-via: direct`',
  'ssh-private-key': 'to configure; to plan, unless `ssh-public-key` is given',
  'postgres-password': 'to configure',
  'replication-password': 'to configure',
  'registry-password': 'with `registry-username`, to configure',
  'backup-cipher-key': 'with `backup.cipher`, to configure',
  'restore-cipher-key': 'with `restore.from.cipher` and another key, to configure',
  'review-key': 'with `require-signature: true`',
  replace: 'with `command: replace`',
  discard: 'with `command: discard`',
  backup: 'with `command: backup`',
  destroy: 'with `command: destroy`',
};

/**
 * Returns the page with its generated parts made from `metadata`.
 *
 * @throws Error if a marker is missing, or a group names an input that does not exist
 */
export function fillPage(text: string, metadata: ActionMetadata): string {
  const inputs = Object.entries(GROUPS).flatMap(([title, names]) => [
    `### ${title}`,
    renderTable(
      ['Input', 'What it is', 'Default', 'Required'],
      names.map((name) => {
        const input = metadata.inputs[name];
        if (input === undefined) throw new Error(`action.yml has no input ${name}.`);
        // Defaults of cluster values end with a space; see action.yml.
        const value = input.default ? `\`${input.default.trim()}\`` : '';
        return [`\`${name}\``, describe(input.description), value, REQUIRED[name] ?? ''];
      }),
    ),
  ]);
  const outputs = Object.entries(metadata.outputs).map(([name, { description }]) => [
    `\`${name}\``,
    describe(description),
  ]);
  return [
    { name: 'inputs', content: inputs.join('\n\n') },
    { name: 'outputs', content: renderTable(['Output', 'What it is'], outputs) },
  ].reduce((filled, part) => replacePart(filled, part), text);
}

function describe(description: string | undefined): string {
  return (description ?? '').trim().replaceAll(/\s+/g, ' ').replaceAll('|', '\\|');
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function replacePart(text: string, { name, content }: { name: string; content: string }): string {
  const [begin, end] = [`<!-- ${name}: generated -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`inputs.md lacks ${begin} … ${end}`);
  return `${text.slice(0, from)}${begin}\n\n${content}\n\n${text.slice(to)}`;
}

if (import.meta.main) {
  const metadata = loadActionMetadata(join(import.meta.dirname, '../..'));
  writeFileSync(PAGE, fillPage(readFileSync(PAGE, 'utf8'), metadata));
}
