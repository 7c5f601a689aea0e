import { describe, expect, test } from 'vitest';
import type { Intent } from '../intent.ts';
import { parseClusterFile } from './cluster-file.ts';
import { CLUSTER_KEYS, type ClusterKey } from './cluster-schema.ts';
import { locateInFile } from './file-place.ts';
import { createOperation, createStep, DEPLOY } from './input-fixtures.ts';
import { type Basis, type InputResult, readRequest } from './inputs.ts';
import type { RawInputs } from './step.ts';

const PATH = 'clusters/orders.yml';

const KEY_A = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB';
const KEY_B = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC';

/** A whole file, whose every value is another one than the default. */
const WHOLE = `# yaml-language-server: $schema=…
cluster_name: orders
instance_type: t3.large
replica_count: 3
region: eu-central-1
primary: node-2
synchronous_replicas: 1
max_connections: 200
shared_buffers: 1GB
settings:
  work_mem: 8MB
  jit: off
  random_page_cost: 1.10
  log_line_prefix: '%m [%p] '
image: ghcr.io/acme/postgres
image_tag: 17.10
ssh_user: debian
ssh_public_key: ${KEY_A} orders
ssh_cidrs: [203.0.113.0/24]
client_cidrs:
  - 10.0.0.0/16
  - 10.1.0.0/16
subnet_ids:
  - subnet-0a1b2c3d4e5f60718
backend: s3
backend_config:
  bucket: states
  key: postgres/orders.tfstate
  region: eu-central-1
  assume_role:
    role_arn: arn:aws:iam::123456789012:role/states
working_directory: infrastructure/orders
allow_destroy_label: may-destroy
allow_plan_label: may-plan
label_prefix: db/
on_plan_change: apply
comment: shared
terraform_binary: tofu
require_signature: false
`;

const parse = (text: string | Buffer) => parseClusterFile(PATH, Buffer.from(text));

/** What the step gives beside a file: secrets. */
const BARE: RawInputs = { 'ssh-cidrs': '', backend: '', 'backend-config': '' };

async function read(
  text: string | Buffer,
  options: {
    step?: RawInputs;
    intent?: Intent;
    standing?: string | null;
    before?: string | null;
  } = {},
): Promise<InputResult> {
  const { step = {}, intent = DEPLOY, standing, before } = options;
  const file = await parse(text);
  const read = async (other: string | null) => (other === null ? null : await parse(other));
  const basis: Basis =
    standing !== undefined
      ? { kind: 'proposed', branch: 'main', standing: await read(standing) }
      : before !== undefined
        ? { kind: 'merged', before: await read(before) }
        : { kind: 'standing' };
  return readRequest({ step: createStep({ ...BARE, ...step }), file: { file, basis } }, intent);
}

describe('a cluster file', () => {
  test('describes everything that is no secret', async () => {
    const { values } = await parse(WHOLE);
    expect([...values.keys()].sort()).toEqual([...CLUSTER_KEYS].sort());
    const { request, problems } = await read(WHOLE);
    expect(problems).toEqual([]);
    expect(request).toMatchObject({
      spec: {
        name: 'orders',
        region: 'eu-central-1',
        instanceType: 't3.large',
        replicaCount: 3,
        image: 'ghcr.io/acme/postgres',
        imageTag: '17.10',
        primary: 'node-2',
        synchronousReplicas: 1,
        settings: {
          max_connections: '200',
          shared_buffers: '1GB',
          work_mem: '8MB',
          jit: 'off',
          random_page_cost: '1.10',
          log_line_prefix: '%m [%p] ',
        },
        sshCidrs: ['203.0.113.0/24'],
        clientCidrs: ['10.0.0.0/16', '10.1.0.0/16'],
        subnetIds: ['subnet-0a1b2c3d4e5f60718'],
      },
      backend: {
        type: 's3',
        config: {
          bucket: 'states',
          use_lockfile: true,
          assume_role: { role_arn: 'arn:aws:iam::123456789012:role/states' },
        },
      },
      workingDirectory: 'infrastructure/orders',
      sshUser: 'debian',
      sshPublicKey: KEY_A,
      allowDestroyLabel: 'may-destroy',
      allowPlanLabel: 'may-plan',
      labelPrefix: 'db/',
      onPlanChange: 'apply',
      comment: 'shared',
      terraformBinary: 'tofu',
    });
  });

  test('comes to the same as the inputs that say the same', async () => {
    const inputs: RawInputs = {
      'cluster-name': 'orders',
      'replica-count': '3',
      'max-connections': '0200',
      settings: "work_mem = 8MB\nlog_line_prefix = '%m '",
      'client-cidrs': '10.1.0.0/16, 10.0.0.0/16',
      'ssh-cidrs': '203.0.113.0/24',
      backend: 's3',
      'backend-config': 'bucket = "states"\nkey = "k"\nregion = "us-east-1"\nencrypt = true',
    };
    const file = `
cluster_name: orders
replica_count: 3
max_connections: 200
settings: { work_mem: 8MB, log_line_prefix: '%m ' }
client_cidrs: [10.1.0.0/16, 10.0.0.0/16]
ssh_cidrs: [203.0.113.0/24]
backend: s3
backend_config: { bucket: states, key: k, region: us-east-1, encrypt: 'true' }
`;
    const both = await read(file, { step: inputs });
    expect(both.problems).toEqual([]);
    const { request } = readRequest({ step: createStep(inputs), file: null }, DEPLOY);
    expect((await read(file)).request).toEqual({ ...request, clusterFile: PATH });
  });
});

/** What every good file needs. */
const GOOD = `cluster_name: orders
ssh_cidrs: [203.0.113.0/24]
backend: local
`;

describe('a broken file gets one message, on its line', () => {
  test.each<[string, string | Buffer, number, RegExp]>([
    ['a tab as indentation', `${GOOD}settings:\n\twork_mem: 8MB\n`, 5, /a tab stands where YAML/],
    ['an anchor', `${GOOD}primary: &a node-1\n`, 4, /an anchor \(&\) names a value/],
    [
      'an alias',
      `${GOOD}settings: {jit: off}\nbackend_config: *a\n`,
      5,
      /an alias \(\*\) stands for a value elsewhere/,
    ],
    [
      'aliases that multiply',
      `${GOOD}settings:\n  a: &a [x, x]\n  b: [*a, *a]\n`,
      5,
      /an anchor \(&\)/,
    ],
    ['a tag', `${GOOD}replica_count: !!int "2"\n`, 4, /a tag \(!\)/],
    [
      'a key given twice',
      `${GOOD}region: us-east-1\nregion: us-east-2\n`,
      5,
      /region is given twice, first in line 4/,
    ],
    [
      'a setting given twice',
      `${GOOD}settings:\n  jit: off\n  jit: on\n`,
      6,
      /settings: jit is given twice/,
    ],
    [
      'a setting given twice in two cases',
      `${GOOD}settings:\n  jit: off\n  JIT: on\n`,
      6,
      /settings: jit was given in line 5 already/,
    ],
    [
      'a text for a number',
      `${GOOD}replica_count: two\n`,
      4,
      /replica_count: "two" is not allowed\. Allowed: a whole number from 0 to 15/,
    ],
    ['a number in quotes', `${GOOD}replica_count: "2"\n`, 4, /replica_count: "2" is not allowed/],
    ['a fraction', `${GOOD}replica_count: 1.5\n`, 4, /replica_count: 1\.5 is not allowed/],
    [
      'a list for a number',
      `${GOOD}replica_count: [2]\n`,
      4,
      /replica_count: a list is not allowed/,
    ],
    [
      'a text for a list',
      `${GOOD}client_cidrs: 10.0.0.0/16\n`,
      4,
      /client_cidrs: "10\.0\.0\.0\/16" is not allowed\. Allowed: a list of IPv4 networks/,
    ],
    [
      'one item of a list',
      `${GOOD}client_cidrs:\n  - 10.0.0.0/16\n  - 10.0.0.1/16\n`,
      6,
      /client_cidrs: "10\.0\.0\.1\/16" is not allowed\. .*Did you mean 10\.0\.0\.0\/16\?/,
    ],
    ['a map for a text', `${GOOD}region: {a: b}\n`, 4, /region: a map is not allowed/],
    ['a text for a map', `${GOOD}settings: jit = off\n`, 4, /settings: not a map/],
    [
      'a word for a flag',
      `${GOOD}require_signature: yes\n`,
      4,
      /require_signature: "yes" is not allowed\. Allowed: true or false/,
    ],
    ['a key without a value', `${GOOD}primary:\n`, 4, /primary: has no value/],
    [
      'a setting without a value',
      `${GOOD}settings:\n  work_mem:\n`,
      5,
      /settings: work_mem has no value/,
    ],
    [
      'a reserved setting',
      `${GOOD}settings:\n  jit: off\n  port: 5433\n`,
      6,
      /settings: port is not allowed\. .*5432/,
    ],
    [
      'a setting in two keys',
      `${GOOD}max_connections: 200\nsettings:\n  max_connections: 200\n`,
      4,
      /max_connections: max_connections is given in clusters\/orders\.yml:6: settings, as well/,
    ],
    ['an unknown key', `${GOOD}replicas: 2\n`, 4, /unknown key replicas\. Allowed: cluster_name, /],
    [
      'a mistyped key',
      `${GOOD}replica_cuont: 2\n`,
      4,
      /unknown key replica_cuont\. Did you mean replica_count\?/,
    ],
    [
      'a key with dashes',
      `${GOOD}replica-count: 2\n`,
      4,
      /unknown key "replica-count"\. Did you mean replica_count\?/,
    ],
    ['__proto__', `${GOOD}__proto__: 2\n`, 4, /unknown key __proto__/],
    [
      'an input of one run',
      `${GOOD}command: apply\n`,
      4,
      /command says nothing of the cluster\. Give it as the input command/,
    ],
    ['a merge key', `${GOOD}<<: {region: us-east-1}\n`, 4, /unknown key "<<"/],
    [
      'a wrong value',
      `${GOOD}region: us-eats-1\n`,
      4,
      /region: "us-eats-1" is not allowed\. .*Did you mean us-east-1\?/,
    ],
    ['a byte-order mark', `\uFEFF${GOOD}`, 1, /begins with a byte-order mark/],
    ['line ends of Windows', GOOD.replaceAll('\n', '\r\n'), 1, /ends with a carriage return/],
    [
      'another encoding',
      Buffer.from('cluster_name: b\xfccher\n', 'latin1'),
      1,
      /not text in UTF-8/,
    ],
    ['a control character', `${GOOD}primary: "\u0007"\n`, 4, /"\\u0007" is a control character/],
    ['2 MB', Buffer.alloc(2 * 1024 * 1024, '#'), 1, /has 2,097,152 bytes\. Allowed: 65,536/],
    ['nothing', '', 1, /the file is empty/],
    ['comments alone', '# soon\n', 1, /the file is empty/],
    [
      'a list',
      `# clusters\n- cluster_name: orders\n`,
      2,
      /the file is a list\. .*Several clusters need a file each/,
    ],
    ['a text', 'orders\n', 1, /the file is a single value/],
    ['two documents', `${GOOD}---\n${GOOD}`, 4, /a second document begins here/],
    ['an open bracket', `${GOOD}client_cidrs: [10.0.0.0/16\n`, 5, /not YAML/],
    ['a nest', `${GOOD}backend_config: ${'['.repeat(30_000)}`, 4, /nested too deeply|not YAML/],
    [
      'a deep nest',
      `${GOOD}backend_config: ${'{a: '.repeat(40)}1${'}'.repeat(40)}\n`,
      4,
      /nested too deeply/,
    ],
    [
      'a secret that YAML takes for a block',
      `${GOOD}postgres_password: |hunter2-hunter2\n`,
      4,
      /not YAML/,
    ],
    [
      'a secret that YAML takes for a tag',
      `${GOOD}postgres_password: !kX9!hunter2-hunter2\n`,
      4,
      /a tag \(!\)/,
    ],
    ['a secret with an escape', `${GOOD}postgres_password: "\\hunter2"\n`, 4, /not YAML/],
    [
      'a fraction of connections',
      `${GOOD}max_connections: 200.5\n`,
      4,
      /max_connections: 200\.5 is not allowed/,
    ],
    ['nothing in a list', `${GOOD}client_cidrs:\n  -\n`, 5, /client_cidrs: null is not allowed/],
    [
      'a mistyped name',
      GOOD.replace('cluster_name', 'cluster_nam'),
      1,
      /Did you mean cluster_name/,
    ],
    [
      'a backend without its settings',
      GOOD.replace('local', 'gcs').replace('gcs', 's3\nbackend_config: {bucket: b, key: k}'),
      4,
      /backend_config: region is missing; backend s3 needs it/,
    ],
    ['a missing name', GOOD.replace('cluster_name: orders\n', ''), 1, /cluster_name: missing/],
    [
      'a secret',
      `${GOOD}postgres_password: hunter2-hunter2\n`,
      4,
      /postgres_password: a secret stands in the file/,
    ],
    [
      'a private key',
      `${GOOD}ssh_public_key: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  aHVudGVyMg\n`,
      4,
      /a private key stands here/,
    ],
    [
      'a secret of the backend',
      `${GOOD}backend_config:\n  path: x\n  secret_key: hunter2\n`,
      6,
      /backend_config: secret_key is a secret/,
    ],
    [
      'a placeholder',
      GOOD.replace('203.0.113.0/24', 'NETWORK/OF/YOUR/RUNNERS'),
      2,
      /ssh_cidrs: still has the placeholder NETWORK\/OF\/YOUR\/RUNNERS/,
    ],
    [
      'a key of the example',
      `${GOOD}image: ghcr.io/OWNER/postgres\n`,
      4,
      /image: still has the placeholder OWNER/,
    ],
  ])('%s', async (_, text, line, expected) => {
    const { request, problems } = await read(text);
    expect(request).toBeNull();
    expect(problems).toEqual([expect.stringMatching(expected)]);
    expect(problems[0]).toMatch(new RegExp(`^clusters/orders\\.yml:${line}: `));
    expect(problems.join()).not.toContain('hunter2');
    expect(problems.join()).not.toContain('aHVudGVyMg');
    const place = locateInFile(problems[0] ?? '', { path: PATH, file: null, given: {} });
    expect(place).toEqual({ file: PATH, startLine: line, title: 'Cluster file' });
  });

  test('the secret in it is known, to be hidden', async () => {
    const { secrets } = await parse(`${GOOD}review_key: hunter2-hunter2\n`);
    expect(secrets).toEqual(['hunter2-hunter2']);
  });

  test('one that is too short to be hidden leaves the message as it is', async () => {
    const { problems } = await read(`${GOOD}postgres_password: e\n`);
    expect(problems).toEqual([
      expect.stringMatching(/^clusters\/orders\.yml:4: postgres_password: a secret stands/),
    ]);
  });

  test('a backend without any of its settings', async () => {
    const { problems } = await read(GOOD.replace('local', 's3'));
    expect(problems).toEqual(
      ['bucket', 'key', 'region'].map(
        (key) => `clusters/orders.yml:3: backend: ${key} is missing; backend s3 needs it.`,
      ),
    );
  });

  test('numbers of a backend stay as they are written', async () => {
    const config =
      'backend_config: {bucket: 0123, key: 1.10, region: 1e3, list: [010], flag: true}';
    const { request } = await read(`${GOOD.replace('local', 's3')}${config}\n`);
    expect(request?.backend?.config).toMatchObject({
      bucket: '0123',
      key: '1.10',
      region: '1e3',
      list: ['010'],
      flag: true,
    });
  });

  test('a key whose comment differs is the same key, and none is shown', async () => {
    const file = `${GOOD}ssh_public_key: ${KEY_A} orders\n`;
    expect((await read(file, { step: { 'ssh-public-key': KEY_A } })).problems).toEqual([]);
    expect((await read(file, { step: { 'ssh-public-key': KEY_B } })).problems).toEqual([
      'clusters/orders.yml:4: ssh_public_key: is not what the input ssh-public-key says. Give ssh_public_key in one place.',
    ]);
    const armour = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwsecretsec\n-----END PRIVATE KEY-----';
    const { problems } = await read(file, { step: { 'ssh-public-key': armour } });
    expect(problems).toEqual([expect.stringMatching(/^ssh-public-key: holds a private key/)]);
  });

  test('every other cluster’s name is told where two places differ', async () => {
    const { problems } = await read(GOOD, { step: { 'cluster-name': 'billing' } });
    expect(problems).toEqual([
      'clusters/orders.yml:1: cluster_name: "orders" is not what the input cluster-name says, which is "billing". Give cluster_name in one place.',
    ]);
  });

  test('an event says nothing against a file', async () => {
    const call = { intent: createOperation('generate', { replica_count: 4 }) };
    expect((await read(`${GOOD}replica_count: 3\n`, call)).problems).toEqual([
      'clusters/orders.yml:4: replica_count: 3 is not what client_payload.replica_count says, which is "4". Give replica_count in one place.',
    ]);
    expect((await read(`${GOOD}replica_count: 4\n`, call)).problems).toEqual([]);
  });

  test('a problem that names an input is shown at its key', async () => {
    const file = await parse(GOOD);
    const locate = (problem: string, given: RawInputs = {}) =>
      locateInFile(problem, { path: PATH, file, given });
    expect(locate('cluster-name: the state is of billing.')).toMatchObject({
      file: PATH,
      startLine: 1,
    });
    expect(locate('cluster-name: no', { 'cluster-name': 'orders' })).toBeNull();
    expect(locate('region: nowhere')).toBeNull();
  });

  test.each<[string, number]>([
    ['settings: the server knows no setting "shared_bufers". Did you mean shared_buffers?', 6],
    ['settings: PostgreSQL has had no wal_keep_segments since version 13. Use wal_keep_size.', 7],
    ['settings: work_mem = 1kB is below its minimum 64kB.', 5],
    ['settings: jit = "x" is not allowed.', 4],
    ['settings: shared_buffers (8GB) is more than the memory.', 4],
  ])('what the server says of a setting is shown at its line: %s', async (problem, startLine) => {
    const settings = '  Work_Mem: 1kB\n  shared_bufers: 1GB\n  wal_keep_segments: 32\n';
    const file = await parse(`${GOOD}settings:\n${settings}`);
    expect(locateInFile(problem, { path: PATH, file, given: {} })).toMatchObject({
      file: PATH,
      startLine,
    });
  });
});

describe('a file of a pull request', () => {
  const REVIEW: Intent = {
    kind: 'review',
    event: 'pull_request',
    base: 'main',
    pullRequest: 7,
    queued: null,
    consent: null,
    withoutSecrets: null,
    sha: 'a'.repeat(40),
    why: 'test',
  };

  /** For each key what a plan does with it, a value of the default branch and one of the pull request, and what the request has of it. */
  const CHANGES: Record<
    ClusterKey,
    [
      use: 'planned' | 'held',
      before: string,
      after: string,
      take: (request: NonNullable<InputResult['request']>) => unknown,
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
  const STANDING = Object.fromEntries(
    Object.entries(CHANGES).map(([key, [, value]]) => [key, value]),
  );
  const step = { 'review-key': 'k'.repeat(32) };
  const readNotes = (result: InputResult) => (result.request === null ? [] : result.notes);

  test.each(Object.entries(CHANGES))('%s', async (key, [use, , after, take]) => {
    const merged = write({ ...STANDING, [key]: after });
    const result = await read(merged, { intent: REVIEW, standing: write(STANDING), step });
    expect(result.problems).toEqual([]);
    const alone = async (text: string) => (await read(text, { intent: REVIEW, step })).request;
    const [old, next] = [await alone(write(STANDING)), await alone(merged)];
    expect(result.request).toEqual(use === 'held' ? old : next);
    // No request says whether it must be signed.
    if (old && next && key !== 'require_signature') expect(take(old)).not.toEqual(take(next));
    expect(readNotes(result)).toEqual(
      use === 'held'
        ? [expect.stringContaining(`${key} has its value from main in this plan`)]
        : [],
    );
  });

  test('what says the same as a default or as the step is not told of', async () => {
    const proposed = `${GOOD}region: us-east-1\nssh_user: admin\non_plan_change: fail\n`;
    const result = await read(proposed, { intent: REVIEW, standing: GOOD });
    expect(readNotes(result)).toEqual([]);
    const moved = await read(WHOLE, {
      intent: REVIEW,
      standing: null,
      step: {
        backend: 's3',
        'backend-config':
          '{"bucket":"states","key":"postgres/orders.tfstate","region":"eu-central-1","assume_role":{"role_arn":"arn:aws:iam::123456789012:role/states"}}',
        'ssh-user': 'debian',
        image: 'ghcr.io/acme/postgres',
        'allow-destroy-label': 'may-destroy',
        'allow-plan-label': 'may-plan',
        'label-prefix': 'db/',
        'on-plan-change': 'apply',
        comment: 'shared',
        'terraform-binary': 'tofu',
      },
    });
    expect(moved.problems).toEqual([]);
    expect(readNotes(moved)).toEqual([]);
    expect(moved.request).toEqual((await read(WHOLE, { intent: REVIEW })).request);
  });

  test('an image of the same registry is planned', async () => {
    const standing = `${GOOD}image: ghcr.io/acme/postgres\n`;
    const proposed = `${GOOD}image: ghcr.io/acme/postgres-ha\n`;
    const { request } = await read(proposed, { intent: REVIEW, standing });
    expect(request?.spec.image).toBe('ghcr.io/acme/postgres-ha');
  });

  test.each([
    ['registry.evil.example/postgres', null],
    ['evil.example:5000/postgres', null],
    ['localhost/postgres', null],
    ['acme/postgres', 'acme/postgres'],
  ])(
    'without an image on the default branch %s is Docker Hub’s or held back',
    async (image, planned) => {
      const { request } = await read(`${GOOD}image: ${image}\n`, {
        intent: REVIEW,
        standing: GOOD,
      });
      expect(request?.spec.image).toBe(planned ?? 'postgres');
    },
  );

  test('what the pull request takes out is held, too', async () => {
    const standing = `${GOOD}require_signature: true\n`;
    const { problems } = await read(GOOD, { intent: REVIEW, standing });
    expect(problems).toEqual([expect.stringMatching(/^review-key: missing\. require-signature/)]);
  });

  test('a new file is planned from an empty state, and no rule of it counts', async () => {
    const result = await read(WHOLE, { intent: REVIEW, standing: null });
    expect(result.problems).toEqual([]);
    expect(result.request).toMatchObject({
      spec: { name: 'orders', region: 'eu-central-1', image: 'ghcr.io/acme/postgres' },
      workingDirectory: 'infrastructure/orders',
      backend: null,
      sshUser: 'admin',
      allowDestroyLabel: 'allow-destroy',
      labelPrefix: null,
      onPlanChange: 'fail',
      comment: 'own',
      terraformBinary: null,
    });
    expect(readNotes(result)).toEqual([
      expect.stringMatching(/^clusters\/orders\.yml is new: main has no such file\./),
      'ssh_user, allow_destroy_label, allow_plan_label, label_prefix, on_plan_change, comment, terraform_binary of clusters/orders.yml will count once the file is merged. The plan was made without.',
    ]);
  });

  test('a new file with a backend of the step is planned from that state', async () => {
    const step = { backend: 'http', 'backend-config': 'address = "https://state/"' };
    const { request, problems } = await read(
      'cluster_name: orders\nssh_cidrs: [10.0.0.0/8]\nimage: ghcr.io/x/y\n',
      {
        intent: REVIEW,
        standing: null,
        step,
      },
    );
    expect(problems).toEqual([]);
    expect(request).toMatchObject({ backend: { type: 'http' }, spec: { image: 'postgres' } });
    const other = await read(
      'cluster_name: orders\nssh_cidrs: [10.0.0.0/8]\nbackend_config: {address: https://evil/}\n',
      {
        intent: REVIEW,
        standing: null,
        step: { backend: 'http' },
      },
    );
    expect(other.request?.backend?.config).toEqual({});
  });

  test.each<[string, string, RegExp]>([
    [
      'an unknown key',
      `${GOOD}replicas: 2\n`,
      /^clusters\/orders\.yml on main cannot be read, .*\(4: unknown key replicas.*Correct it on main first\.$/,
    ],
    [
      'no backend',
      GOOD.replace('backend: local\n', ''),
      /^clusters\/orders\.yml on main:1: backend: missing\. .*It counts from main/,
    ],
    [
      'no name',
      GOOD.replace('cluster_name: orders\n', ''),
      /^clusters\/orders\.yml on main:1: cluster_name: missing\. .*It counts from main/,
    ],
    [
      'a wrong region',
      `${GOOD}region: us-eats-1\n`,
      /^clusters\/orders\.yml on main:4: region: "us-eats-1" is not allowed.*It counts from main/,
    ],
  ])('with %s on the default branch nothing is planned', async (_, standing, problem) => {
    const { problems } = await read(`${GOOD}region: us-east-1\n`, { intent: REVIEW, standing });
    expect(problems).toEqual([expect.stringMatching(problem)]);
    const place = locateInFile(problems[0] ?? '', { path: PATH, file: null, given: {} });
    expect(place).toBeNull();
  });

  test('a problem of the pull request’s file leaves the default branch’s comment to say it', async () => {
    const result = await read('replicas: 2\n', {
      intent: REVIEW,
      standing: `${GOOD}label_prefix: db/\n`,
    });
    expect(result.request).toBeNull();
    expect(result.request === null && result.cluster).toEqual({
      name: 'orders',
      path: PATH,
      workingDirectory: '.postgres-cluster/orders',
      region: 'us-east-1',
      shared: false,
      labelPrefix: 'db/',
    });
  });

  test.each(['\t', 'replicas: 2\n'])('a new file without a name is nobody’s: %j', async (text) => {
    const result = await read(text, { intent: REVIEW, standing: null });
    expect(result.request === null && result.cluster).toBeNull();
  });
});

describe('a file that a merge brought', () => {
  const take = (result: InputResult) => ({
    onPlanChange: result.request?.onPlanChange,
    allowDestroyLabel: result.request?.allowDestroyLabel,
  });

  test.each<[string, string, string | null, object, readonly RegExp[]]>([
    [
      'looser rules count from the next merge on',
      `${GOOD}on_plan_change: apply\nallow_destroy_label: bug\n`,
      GOOD,
      { onPlanChange: 'fail', allowDestroyLabel: 'allow-destroy' },
      [
        /^clusters\/orders\.yml: allow_destroy_label, on_plan_change count from the next merge on\./,
      ],
    ],
    [
      'rules of a new file count from the next merge on',
      `${GOOD}on_plan_change: apply\n`,
      null,
      { onPlanChange: 'fail' },
      [/on_plan_change counts from the next merge on/],
    ],
    [
      'stricter rules count at once',
      `${GOOD}allow_destroy_label: ''\n`,
      `${GOOD}on_plan_change: apply\n`,
      { onPlanChange: 'fail', allowDestroyLabel: null },
      [],
    ],
    [
      'rules that stay count',
      `${GOOD}on_plan_change: apply\nallow_destroy_label: bug\n`,
      `${GOOD}on_plan_change: apply\nallow_destroy_label: bug\n`,
      { onPlanChange: 'apply', allowDestroyLabel: 'bug' },
      [],
    ],
    [
      'rules of a file that could not be read are the default ones',
      `${GOOD}on_plan_change: apply\n`,
      '\t',
      { onPlanChange: 'fail' },
      [/on_plan_change counts from the next merge on/],
    ],
  ])('%s', async (_, text, before, expected, notes) => {
    const result = await read(text, { before });
    expect(result.problems).toEqual([]);
    expect(take(result)).toMatchObject(expected);
    expect(result.request === null ? [] : result.notes).toEqual(
      notes.map((note) => expect.stringMatching(note)),
    );
  });

  test('a signature that was required stays so', async () => {
    const before = `${GOOD}require_signature: true\n`;
    expect((await read(GOOD, { before })).problems).toEqual([
      expect.stringMatching(/^review-key: missing\. require-signature is true/),
    ]);
    expect((await read(before, { before: GOOD })).problems).toHaveLength(1);
  });

  test('the step may say otherwise', async () => {
    const file = `${GOOD}on_plan_change: apply\n`;
    const { request } = await read(file, { before: GOOD, step: { 'on-plan-change': 'apply' } });
    expect(request?.onPlanChange).toBe('apply');
  });
});
