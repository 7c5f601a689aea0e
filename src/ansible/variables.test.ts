import { describe, expect, test } from 'vitest';
import { renderBackupFiles } from '../cluster/backup-configuration.ts';
import type { DesiredCluster } from '../cluster/desired.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { createBackup, createDesired, createSource } from '../cluster/testing/fixtures.ts';
import { UserError } from '../messages/errors.ts';
import { renderVariables } from './variables.ts';

const COLLATION_LABEL = {
  input: 'allow-collation-label',
  label: 'allow-collation-change',
  labels: null,
};
const TEMPLATE = "{{ lookup('pipe', 'id') }}";

function render(overrides: Partial<Parameters<typeof renderVariables>[0]>): string {
  return renderVariables({
    desired: createDesired({ size: 2 }),
    secrets: { postgresPassword: TEMPLATE, replicationPassword: '' },
    keys: { current: 'ssh-ed25519 AAAA', retired: [] },
    ...overrides,
  });
}

const decodeText = (text: string) => Buffer.from(text, 'base64').toString();

function renderSteps(steps: readonly Step[], desired: DesiredCluster) {
  const rest = { proofToken: null, image: null, collationLabel: COLLATION_LABEL };
  const variables = render({ desired, rollout: { primary: 'node-1', steps, ...rest } });
  return JSON.parse(variables).cluster_steps;
}

describe('the files of backups', () => {
  const step = { kind: 'archive', nodes: ['node-1', 'node-2'], primary: 'node-1' } as const;

  test('are the same on every node', () => {
    const desired = createDesired({ size: 2, backup: createBackup() });
    const [{ files, ...rest }] = renderSteps([step], desired);
    expect(rest).toEqual(step);
    for (const node of step.nodes) {
      const { pgbackrestConf, backupJson } = renderBackupFiles(desired);
      expect(decodeText(files[node].pgbackrestConf)).toBe(pgbackrestConf);
      expect(decodeText(files[node].backupJson)).toBe(backupJson);
    }
  });

  test('are empty where the archive ends', () => {
    const [{ files }] = renderSteps([step], createDesired({ size: 2 }));
    expect(files['node-2']).toEqual({ pgbackrestConf: '', backupJson: '' });
  });

  test('of a restore name its source, and where the cluster will archive', () => {
    const source = createSource({ endpoint: 's3.example.com' });
    const restore: Step = {
      ...{ kind: 'restore', nodes: ['node-1'], primary: 'node-1', settings: {} },
      ...{ source, time: null },
    };
    const backup = createBackup({ endpoint: 's3.example.com' });
    const [rendered] = renderSteps([restore], createDesired({ size: 2, backup }));
    expect(rendered).toMatchObject({ source, time: null });
    const conf = decodeText(rendered.restoreConf);
    expect(conf).toContain('\n[sales]\n');
    expect(conf).toContain('\nrepo1-s3-endpoint=s3.example.com\n');
    const desired = createDesired({ size: 2, backup });
    expect(decodeText(rendered.ownConf)).toBe(renderBackupFiles(desired).pgbackrestConf);
    expect(renderSteps([restore], createDesired({ size: 2 }))[0].ownConf).toBe('');
    expect(decodeText(rendered.files['node-1'].pgHba)).toContain('local all postgres peer');
  });
});

test('the programs for backups stay as they are unless the step says otherwise', () => {
  const install: Step = { kind: 'prepare', nodes: ['node-1'], tools: 'install' };
  const keep: Step = { kind: 'prepare', nodes: ['node-2'] };
  const steps = renderSteps([install, keep], createDesired({ size: 2, backup: createBackup() }));
  expect(steps).toEqual([install, keep]);
});

test.each([
  [undefined, false],
  [true, true],
])(
  'with listsCanary %s the primary says what a rehearsal compares: %s',
  (listsCanary, expected) => {
    const work = { primary: 'node-1', steps: [], proofToken: null, image: null };
    const collationLabel = COLLATION_LABEL;
    const rollout = { ...work, collationLabel, ...(listsCanary && { listsCanary }) };
    expect(JSON.parse(render({ rollout })).cluster_lists_canary).toBe(expected);
  },
);

test('free text is encoded', () => {
  const settings = { log_line_prefix: TEMPLATE };
  const variables = render({
    rollout: {
      primary: 'node-1',
      steps: [{ kind: 'reload', nodes: ['node-1'], primary: 'node-1', settings }],
      proofToken: null,
      image: { image: 'postgres:17', digest: `postgres@sha256:${'0'.repeat(64)}` },
      collationLabel: { ...COLLATION_LABEL, label: TEMPLATE },
    },
  });
  expect(variables).not.toContain('{{');
  const [step] = JSON.parse(variables).cluster_steps;
  const file = Buffer.from(step.files['node-1'].postgresqlConf, 'base64').toString();
  expect(file).toContain("log_line_prefix = '{{ lookup(''pipe'', ''id'') }}'");
});

test('a login to a registry is encoded, name and password', () => {
  const login = { registryUsername: TEMPLATE, registryPassword: 'p{{ss' };
  const secrets = { postgresPassword: '', replicationPassword: '', ...login };
  const variables = JSON.parse(render({ secrets }));
  const decode = (text: string) => Buffer.from(text, 'base64').toString();
  expect(decode(variables.cluster_registry_username)).toBe(TEMPLATE);
  expect(decode(variables.cluster_registry_secret)).toBe('p{{ss');
  expect(JSON.parse(render({})).cluster_registry_secret).toBe('');
});

describe('the key of a repository', () => {
  const keys = { backupCipherKey: 'own-key', restoreCipherKey: 'other-key' };
  const cipher = 'aes-256-cbc' as const;
  const restore = { from: createSource({ cipher }), time: null };
  const find = (desired: Partial<DesiredCluster>, given: Partial<typeof keys> = keys) => {
    const secrets = { postgresPassword: '', replicationPassword: '', ...given };
    const text = render({ desired: createDesired(desired), secrets });
    const { cluster_backup_cipher_secret: own, cluster_restore_cipher_secret: source } =
      JSON.parse(text);
    expect(text).not.toMatch(/own-key|other-key/);
    return [own, source].map(decodeText);
  };

  test.each<[string, Partial<DesiredCluster>, Partial<typeof keys>, [string, string]]>([
    ['goes nowhere without a cipher', { backup: createBackup() }, keys, ['', '']],
    ['is the own one', { backup: createBackup({ cipher }) }, keys, ['own-key', '']],
    ['is another one for a source', { restore }, keys, ['', 'other-key']],
    ['is the own one for a source', { restore }, { backupCipherKey: 'own-key' }, ['', 'own-key']],
    ['is missing without a secret', { backup: createBackup({ cipher }), restore }, {}, ['', '']],
  ])('%s', (_, desired, given, expected) => {
    expect(find(desired, given)).toEqual(expected);
  });
});

test.each([
  [false, {}],
  [true, { hasInstanceProfile: true }],
])('nodes log in with an instance profile: %s', (expected, options) => {
  expect(JSON.parse(render(options)).cluster_registry_instance_profile).toBe(expected);
});

test.each([
  ['{{ x }}', 'cluster_known_images.0.digest'],
  ['{% x %}', 'cluster_known_images.0.digest'],
  ['{# x #}', 'cluster_known_images.0.digest'],
])('%s as a digest starts nothing, and %s is named', (digest, name) => {
  const work = {
    primary: 'node-1',
    steps: [],
    proofToken: null,
    image: { image: 'postgres:17', digest },
    collationLabel: COLLATION_LABEL,
  };
  const start = () => render({ rollout: work });
  expect(start).toThrow(UserError);
  expect(start).toThrow(`${name} is "${digest}"`);
});

test('a template is refused as a key and inside lists and objects', () => {
  expect(() => render({ freshNodes: [TEMPLATE] })).toThrow('cluster_fresh_nodes.0 is ');
});

test.each([
  [
    null,
    'allow-collation-change',
    false,
    /open a pull request and label it allow-collation-change/,
  ],
  [['other'], 'allow-collation-change', false, /label the pull request allow-collation-change/],
  [['Allow-Collation-Change'], 'allow-collation-change', true, /./],
  [['allow-collation-change'], null, false, /name a label in allow-collation-label/],
])(
  'with the labels %j and the input %j another order is allowed: %s',
  (labels, label, allowed, wayOut) => {
    const collationLabel = { ...COLLATION_LABEL, label, labels };
    const work = { primary: 'node-1', steps: [], proofToken: null, image: null, collationLabel };
    const variables = JSON.parse(render({ rollout: work }));
    expect(variables.cluster_collation_change).toBe(allowed);
    expect(Buffer.from(variables.cluster_collation_way_out, 'base64').toString()).toMatch(wayOut);
  },
);
