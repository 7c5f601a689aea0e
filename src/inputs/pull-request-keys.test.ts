import { describe, expect, test } from 'vitest';
import {
  FULL_FILE,
  KEY_A,
  KEY_B,
  MINIMAL_FILE,
  readInputsFromFile,
} from './cluster-file-fixtures.ts';
import type { ClusterKey } from './cluster-schema.ts';
import { REVIEW } from './input-fixtures.ts';
import type { InputResult } from './read-inputs.ts';

describe('a file of a pull request', () => {
  /** For each key: its use in a plan, a value of the default branch, one of the pull request, and the input to compare. */
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
    ssh_via: ['planned', 'instance-connect-endpoint', 'direct', ({ spec }) => spec.ssh.via],
    instance_connect_endpoint_id: [
      'planned',
      'eice-01234567',
      'eice-89abcdef',
      ({ spec }) => spec.ssh.endpointId,
    ],
    ssh_address: ['planned', 'private', 'public', ({ spec }) => spec.ssh.address],
    internet_via: [
      'planned',
      'public-addresses',
      'nat-gateway',
      ({ spec }) => spec.network.internetVia,
    ],
    avoid_zones: ['planned', '[us-east-1e]', '[us-east-1a]', ({ spec }) => spec.network.avoidZones],
    dns_zone_id: ['planned', 'Z0A', 'Z0B', ({ spec }) => spec.network.dnsZoneId],
    subnet_ids: ['planned', '[subnet-01234567]', '[subnet-89abcdef]', ({ spec }) => spec.subnetIds],
    instance_profile: ['planned', 'nodes', 'admins', ({ spec }) => spec.instanceProfile],
    vpc_cidr: ['planned', '10.1.0.0/16', '10.2.0.0/16', ({ spec }) => spec.vpcCidr],
    data_volume_size: ['planned', '20', '30', ({ spec }) => spec.storage.dataGib],
    data_volume_iops: ['planned', '3000', '6000', ({ spec }) => spec.storage.iops],
    data_volume_throughput: ['planned', '125', '250', ({ spec }) => spec.storage.throughput],
    root_volume_size: ['planned', '16', '20', ({ spec }) => spec.storage.rootGib],
    kms_key_id: [
      'planned',
      'arn:aws:kms:us-east-1:123456789012:key/a',
      'arn:aws:kms:us-east-1:123456789012:key/b',
      ({ spec }) => spec.storage.kmsKey,
    ],
    tags: ['planned', '{Team: a}', '{Team: b}', ({ spec }) => spec.tags.Team],
    backup: [
      'planned',
      '{ bucket: acme-backups }',
      '{ bucket: acme-backups, retention_days: 7 }',
      ({ spec }) => spec.backup,
    ],
    restore: [
      'planned',
      '{ from: { bucket: acme-backups, cluster: orders } }',
      '{ from: { bucket: acme-backups, cluster: sales } }',
      ({ spec }) => spec.restore,
    ],
    snapshots: ['planned', '{ keep: 7 }', '{ keep: 3 }', ({ spec }) => spec.snapshots],
    clone_from: ['planned', 'primary', 'replica', ({ spec }) => spec.clone.from],
    clone_max_rate: ['planned', '10MB', '20MB', ({ spec }) => spec.clone.maxRate],
    storage_alert_percent: ['held', '80', '99', ({ storageAlertPercent }) => storageAlertPercent],
    wait_minutes: ['held', '330', '10', ({ waitMinutes }) => waitMinutes],
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
  /** Keys whose values do not fit the other value of a key: they belong to one region, or to one way to the nodes. */
  const EXCLUDED: Readonly<Record<string, readonly string[]>> = {
    region: ['kms_key_id', 'avoid_zones'],
    ssh_via: ['instance_connect_endpoint_id'],
    ssh_address: ['instance_connect_endpoint_id', 'ssh_via'],
  };
  const step = { 'review-key': 'k'.repeat(32) };
  const readNotes = (result: InputResult) => (result.inputs === null ? [] : result.notes);

  test.each(Object.entries(CHANGES))('%s', async (key, [use, , after, take]) => {
    const omitted = EXCLUDED[key] ?? [];
    const present = Object.fromEntries(
      Object.entries(EXISTING).filter(([other]) => !omitted.includes(other)),
    );
    const merged = write({ ...present, [key]: after });
    const result = await readInputsFromFile(merged, {
      intent: REVIEW,
      existing: write(present),
      step,
    });
    expect(result.problems).toEqual([]);
    const alone = async (text: string) =>
      (await readInputsFromFile(text, { intent: REVIEW, step })).inputs;
    const [old, next] = [await alone(write(present)), await alone(merged)];
    // A file that is read alone has nothing that its `restore` could be compared with.
    const isRestoreNew = key === 'restore';
    expect(result.inputs).toEqual({ ...(use === 'held' ? old : next), isRestoreNew });
    // The inputs do not contain require_signature.
    if (old && next && key !== 'require_signature') expect(take(old)).not.toEqual(take(next));
    expect(readNotes(result)).toEqual(
      use === 'held'
        ? [expect.stringContaining(`${key} has its value from main in this plan`)]
        : [],
    );
  });

  test('values equal to a default or to the step have no note', async () => {
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
        'storage-alert-percent': '90',
        'wait-minutes': '60',
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

  test('the registry of a login is the default branch’s, even if the pull request names another', async () => {
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
    'without an image on the default branch only images of Docker Hub are planned: %s',
    async (image, planned) => {
      const { inputs } = await readInputsFromFile(`${MINIMAL_FILE}image: ${image}\n`, {
        intent: REVIEW,
        existing: MINIMAL_FILE,
      });
      expect(inputs?.spec.image).toBe(planned ?? 'postgres');
    },
  );

  test('a rule that the pull request removes still applies', async () => {
    const existing = `${MINIMAL_FILE}require_signature: true\n`;
    const { problems } = await readInputsFromFile(MINIMAL_FILE, { intent: REVIEW, existing });
    expect(problems).toEqual([expect.stringMatching(/^review-key: missing\. require-signature/)]);
  });

  test('a new file is planned from an empty state, without its rules', async () => {
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
      'ssh_user, storage_alert_percent, wait_minutes, allow_destroy_label, allow_collation_label, allow_slot_loss_label, allow_plan_label, label_prefix, on_plan_change, comment, terraform_binary of clusters/orders.yml will count once the file is merged. The plan does not use them.',
    ]);
  });

  test('a new file is planned from the state of the step’s backend', async () => {
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
});
