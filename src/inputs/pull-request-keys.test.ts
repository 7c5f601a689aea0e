import { describe, expect, test } from 'vitest';
import {
  CLUSTER_FILE_PATH,
  FULL_FILE,
  KEY_A,
  KEY_B,
  MINIMAL_FILE,
  readInputsFromFile,
} from './cluster-file-fixtures.ts';
import type { ClusterKey } from './cluster-schema.ts';
import { REVIEW } from './input-fixtures.ts';
import { locateInFile } from './locate-in-cluster-file.ts';
import type { InputResult } from './read-inputs.ts';

describe('a file of a pull request', () => {
  /** For each key what a plan does with it, a value of the default branch and one of the pull request, and what the request has of it. */
  const CHANGES: Record<
    ClusterKey,
    [
      use: 'planned' | 'held',
      before: string,
      after: string,
      take: (request: NonNullable<InputResult['inputs']>) => unknown,
    ]
  > = {
    cluster_name: ['held', 'orders', 'billing', ({ spec }) => spec.name],
    instance_type: ['planned', 't3.medium', 't3.large', ({ spec }) => spec.instanceType],
    replica_count: ['planned', '2', '3', ({ spec }) => spec.replicaCount],
    region: ['held', 'us-east-1', 'us-east-2', ({ spec }) => spec.region],
    primary: ['planned', 'node-1', 'node-2', ({ spec }) => spec.primary],
    synchronous_replicas: ['planned', '0', '1', ({ spec }) => spec.synchronousReplicas],
    max_connections: ['planned', '100', '200', ({ spec }) => spec.settings.max_connections],
    shared_buffers: ['planned', '256MB', '1GB', ({ spec }) => spec.settings.shared_buffers],
    settings: ['planned', '{jit: on}', '{jit: off}', ({ spec }) => spec.settings.jit],
    image: [
      'held',
      'ghcr.io/acme/postgres',
      'registry.evil.example/postgres',
      ({ spec }) => spec.image,
    ],
    image_tag: ['planned', '17', '17.6', ({ spec }) => spec.imageTag],
    ssh_user: ['held', 'admin', 'mallory', ({ sshUser }) => sshUser],
    ssh_public_key: ['planned', KEY_A, KEY_B, ({ sshPublicKey }) => sshPublicKey],
    ssh_cidrs: ['planned', '[10.0.0.0/8]', '[11.0.0.0/8]', ({ spec }) => spec.sshCidrs],
    client_cidrs: ['planned', '[10.0.0.0/8]', '[11.0.0.0/8]', ({ spec }) => spec.clientCidrs],
    subnet_ids: ['planned', '[subnet-01234567]', '[subnet-89abcdef]', ({ spec }) => spec.subnetIds],
    instance_profile: ['planned', 'nodes', 'admins', ({ spec }) => spec.instanceProfile],
    backend: ['held', 'http', 'gcs', ({ backend }) => backend?.type],
    backend_config: [
      'held',
      '{address: "https://a/"}',
      '{address: "https://evil/"}',
      ({ backend }) => backend?.config.address,
    ],
    working_directory: ['held', 'infra/a', 'infra/b', ({ workingDirectory }) => workingDirectory],
    allow_destroy_label: [
      'held',
      'may-destroy',
      'bug',
      ({ allowDestroyLabel }) => allowDestroyLabel,
    ],
    allow_collation_label: [
      'held',
      'may-sort',
      'bug',
      ({ allowCollationLabel }) => allowCollationLabel,
    ],
    allow_slot_loss_label: [
      'held',
      'may-lose',
      'bug',
      ({ allowSlotLossLabel }) => allowSlotLossLabel,
    ],
    allow_plan_label: ['held', 'may-plan', 'bug', ({ allowPlanLabel }) => allowPlanLabel],
    label_prefix: ['held', 'db/', 'evil/', ({ labelPrefix }) => labelPrefix],
    on_plan_change: ['held', 'fail', 'apply', ({ onPlanChange }) => onPlanChange],
    comment: ['held', 'own', 'shared', ({ comment }) => comment],
    terraform_binary: ['held', 'terraform', './evil', ({ terraformBinary }) => terraformBinary],
    require_signature: ['held', 'false', 'true', () => null],
  };

  const write = (values: Record<string, string>) =>
    Object.entries(values)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join('');
  const EXISTING = Object.fromEntries(
    Object.entries(CHANGES).map(([key, [, value]]) => [key, value]),
  );
  const step = { 'review-key': 'k'.repeat(32) };
  const readNotes = (result: InputResult) => (result.inputs === null ? [] : result.notes);

  test.each(Object.entries(CHANGES))('%s', async (key, [use, , after, take]) => {
    const merged = write({ ...EXISTING, [key]: after });
    const result = await readInputsFromFile(merged, {
      intent: REVIEW,
      existing: write(EXISTING),
      step,
    });
    expect(result.problems).toEqual([]);
    const alone = async (text: string) =>
      (await readInputsFromFile(text, { intent: REVIEW, step })).inputs;
    const [old, next] = [await alone(write(EXISTING)), await alone(merged)];
    expect(result.inputs).toEqual(use === 'held' ? old : next);
    // No request says whether it must be signed.
    if (old && next && key !== 'require_signature') expect(take(old)).not.toEqual(take(next));
    expect(readNotes(result)).toEqual(
      use === 'held'
        ? [expect.stringContaining(`${key} has its value from main in this plan`)]
        : [],
    );
  });

  test('what says the same as a default or as the step is not told of', async () => {
    const proposed = `${MINIMAL_FILE}region: us-east-1\nssh_user: admin\non_plan_change: fail\n`;
    const result = await readInputsFromFile(proposed, { intent: REVIEW, existing: MINIMAL_FILE });
    expect(readNotes(result)).toEqual([]);
    const moved = await readInputsFromFile(FULL_FILE, {
      intent: REVIEW,
      existing: null,
      step: {
        backend: 's3',
        'backend-config':
          '{"bucket":"states","key":"postgres/orders.tfstate","region":"eu-central-1","assume_role":{"role_arn":"arn:aws:iam::123456789012:role/states"}}',
        'ssh-user': 'debian',
        image: 'ghcr.io/acme/postgres',
        'allow-destroy-label': 'may-destroy',
        'allow-collation-label': 'may-sort',
        'allow-slot-loss-label': 'may-lose',
        'allow-plan-label': 'may-plan',
        'label-prefix': 'db/',
        'on-plan-change': 'apply',
        comment: 'shared',
        'terraform-binary': 'tofu',
      },
    });
    expect(moved.problems).toEqual([]);
    expect(readNotes(moved)).toEqual([]);
    expect(moved.inputs).toEqual((await readInputsFromFile(FULL_FILE, { intent: REVIEW })).inputs);
  });

  test('a login stays with the registry of the default branch, whatever a pull request names', async () => {
    const existing = `${MINIMAL_FILE}image: ghcr.io/acme/postgres\n`;
    const login = { 'registry-username': 'acme-bot', 'registry-password': 'ghp_0123456789' };
    for (const image of [
      'evil.example/acme/postgres',
      'ghcr.io.evil.example/postgres',
      'postgres',
    ]) {
      const { inputs } = await readInputsFromFile(`${MINIMAL_FILE}image: ${image}\n`, {
        intent: REVIEW,
        existing,
        step: login,
      });
      // The nodes send it to the registry of this image and to no other (test_host.py, Login).
      expect(inputs?.spec.image).toBe('ghcr.io/acme/postgres');
      expect(inputs?.secrets.registryPassword).toBe('ghp_0123456789');
    }
  });

  test('an image of the same registry is planned', async () => {
    const existing = `${MINIMAL_FILE}image: ghcr.io/acme/postgres\n`;
    const proposed = `${MINIMAL_FILE}image: ghcr.io/acme/postgres-ha\n`;
    const { inputs } = await readInputsFromFile(proposed, { intent: REVIEW, existing });
    expect(inputs?.spec.image).toBe('ghcr.io/acme/postgres-ha');
  });

  test.each([
    ['registry.evil.example/postgres', null],
    ['evil.example:5000/postgres', null],
    ['localhost/postgres', null],
    ['acme/postgres', 'acme/postgres'],
  ])(
    'without an image on the default branch %s is Docker Hub’s or held back',
    async (image, planned) => {
      const { inputs } = await readInputsFromFile(`${MINIMAL_FILE}image: ${image}\n`, {
        intent: REVIEW,
        existing: MINIMAL_FILE,
      });
      expect(inputs?.spec.image).toBe(planned ?? 'postgres');
    },
  );

  test('what the pull request takes out is held, too', async () => {
    const existing = `${MINIMAL_FILE}require_signature: true\n`;
    const { problems } = await readInputsFromFile(MINIMAL_FILE, { intent: REVIEW, existing });
    expect(problems).toEqual([expect.stringMatching(/^review-key: missing\. require-signature/)]);
  });

  test('a new file is planned from an empty state, and no rule of it counts', async () => {
    const result = await readInputsFromFile(FULL_FILE, { intent: REVIEW, existing: null });
    expect(result.problems).toEqual([]);
    expect(result.inputs).toMatchObject({
      spec: { name: 'orders', region: 'eu-central-1', image: 'ghcr.io/acme/postgres' },
      workingDirectory: 'infrastructure/orders',
      backend: null,
      sshUser: 'admin',
      allowDestroyLabel: 'allow-destroy',
      allowCollationLabel: 'allow-collation-change',
      labelPrefix: null,
      onPlanChange: 'fail',
      comment: 'own',
      terraformBinary: null,
    });
    expect(readNotes(result)).toEqual([
      expect.stringMatching(/^clusters\/orders\.yml is new: main has no such file\./),
      'ssh_user, allow_destroy_label, allow_collation_label, allow_slot_loss_label, allow_plan_label, label_prefix, on_plan_change, comment, terraform_binary of clusters/orders.yml will count once the file is merged. The plan does not use them.',
    ]);
  });

  test('a new file with a backend of the step is planned from that state', async () => {
    const step = { backend: 'http', 'backend-config': 'address = "https://state/"' };
    const { inputs, problems } = await readInputsFromFile(
      'cluster_name: orders\nssh_cidrs: [10.0.0.0/8]\nimage: ghcr.io/x/y\n',
      {
        intent: REVIEW,
        existing: null,
        step,
      },
    );
    expect(problems).toEqual([]);
    expect(inputs).toMatchObject({ backend: { type: 'http' }, spec: { image: 'postgres' } });
    const other = await readInputsFromFile(
      'cluster_name: orders\nssh_cidrs: [10.0.0.0/8]\nbackend_config: {address: https://evil/}\n',
      {
        intent: REVIEW,
        existing: null,
        step: { backend: 'http' },
      },
    );
    expect(other.inputs?.backend?.config).toEqual({});
  });

  test.each<[string, string, RegExp]>([
    [
      'an unknown key',
      `${MINIMAL_FILE}replicas: 2\n`,
      /^clusters\/orders\.yml on main cannot be read, .*\(4: unknown key replicas.*Correct it on main first\.$/,
    ],
    [
      'no backend',
      MINIMAL_FILE.replace('backend: local\n', ''),
      /^clusters\/orders\.yml on main:1: backend: missing\. .*It counts from main/,
    ],
    [
      'no name',
      MINIMAL_FILE.replace('cluster_name: orders\n', ''),
      /^clusters\/orders\.yml on main:1: cluster_name: missing\. .*It counts from main/,
    ],
    [
      'a wrong region',
      `${MINIMAL_FILE}region: us-eats-1\n`,
      /^clusters\/orders\.yml on main:4: region: "us-eats-1" is not allowed.*It counts from main/,
    ],
  ])('with %s on the default branch nothing is planned', async (_, existing, problem) => {
    const { problems } = await readInputsFromFile(`${MINIMAL_FILE}region: us-east-1\n`, {
      intent: REVIEW,
      existing,
    });
    expect(problems).toEqual([expect.stringMatching(problem)]);
    const place = locateInFile(problems[0] ?? '', {
      path: CLUSTER_FILE_PATH,
      file: null,
      given: {},
    });
    expect(place).toBeNull();
  });

  test('a problem of the pull request’s file leaves the default branch’s comment to say it', async () => {
    const result = await readInputsFromFile('replicas: 2\n', {
      intent: REVIEW,
      existing: `${MINIMAL_FILE}label_prefix: db/\n`,
    });
    expect(result.inputs).toBeNull();
    expect(result.inputs === null && result.cluster).toEqual({
      name: 'orders',
      path: CLUSTER_FILE_PATH,
      workingDirectory: '.postgres-cluster/orders',
      region: 'us-east-1',
      shared: false,
      labelPrefix: 'db/',
    });
  });

  test.each(['\t', 'replicas: 2\n'])('a new file without a name is nobody’s: %j', async (text) => {
    const result = await readInputsFromFile(text, { intent: REVIEW, existing: null });
    expect(result.inputs === null && result.cluster).toBeNull();
  });
});

describe('a file that a merge brought', () => {
  const take = (result: InputResult) => ({
    onPlanChange: result.inputs?.onPlanChange,
    allowDestroyLabel: result.inputs?.allowDestroyLabel,
    allowCollationLabel: result.inputs?.allowCollationLabel,
    allowSlotLossLabel: result.inputs?.allowSlotLossLabel,
  });

  test.each<[string, string, string | null, object, readonly RegExp[]]>([
    [
      'looser rules count from the next merge on',
      `${MINIMAL_FILE}on_plan_change: apply\nallow_destroy_label: bug\nallow_collation_label: bug\nallow_slot_loss_label: bug\n`,
      MINIMAL_FILE,
      {
        onPlanChange: 'fail',
        allowDestroyLabel: 'allow-destroy',
        allowCollationLabel: 'allow-collation-change',
        allowSlotLossLabel: 'allow-slot-loss',
      },
      [
        /^clusters\/orders\.yml: allow_destroy_label, allow_collation_label, allow_slot_loss_label, on_plan_change count from the next merge on\./,
      ],
    ],
    [
      'rules of a new file count from the next merge on',
      `${MINIMAL_FILE}on_plan_change: apply\n`,
      null,
      { onPlanChange: 'fail' },
      [/on_plan_change counts from the next merge on/],
    ],
    [
      'stricter rules count at once',
      `${MINIMAL_FILE}allow_destroy_label: ''\n`,
      `${MINIMAL_FILE}on_plan_change: apply\n`,
      { onPlanChange: 'fail', allowDestroyLabel: null },
      [],
    ],
    [
      'rules that stay count',
      `${MINIMAL_FILE}on_plan_change: apply\nallow_destroy_label: bug\n`,
      `${MINIMAL_FILE}on_plan_change: apply\nallow_destroy_label: bug\n`,
      { onPlanChange: 'apply', allowDestroyLabel: 'bug' },
      [],
    ],
    [
      'rules of a file that could not be read are the default ones',
      `${MINIMAL_FILE}on_plan_change: apply\n`,
      '\t',
      { onPlanChange: 'fail' },
      [/on_plan_change counts from the next merge on/],
    ],
  ])('%s', async (_, text, before, expected, notes) => {
    const result = await readInputsFromFile(text, { before });
    expect(result.problems).toEqual([]);
    expect(take(result)).toMatchObject(expected);
    expect(result.inputs === null ? [] : result.notes).toEqual(
      notes.map((note) => expect.stringMatching(note)),
    );
  });

  test('a signature that was required stays so', async () => {
    const before = `${MINIMAL_FILE}require_signature: true\n`;
    expect((await readInputsFromFile(MINIMAL_FILE, { before })).problems).toEqual([
      expect.stringMatching(/^review-key: missing\. require-signature is true/),
    ]);
    expect((await readInputsFromFile(before, { before: MINIMAL_FILE })).problems).toHaveLength(1);
  });

  test('the step may say otherwise', async () => {
    const file = `${MINIMAL_FILE}on_plan_change: apply\n`;
    const { inputs } = await readInputsFromFile(file, {
      before: MINIMAL_FILE,
      step: { 'on-plan-change': 'apply' },
    });
    expect(inputs?.onPlanChange).toBe('apply');
  });
});
