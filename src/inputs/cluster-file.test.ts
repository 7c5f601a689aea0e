import { describe, expect, test } from 'vitest';
import {
  CLUSTER_FILE_PATH,
  FULL_FILE,
  KEY_A,
  KEY_B,
  MINIMAL_FILE,
  parseFile,
  readInputsFromFile,
} from './cluster-file-fixtures.ts';
import { CLUSTER_KEYS } from './cluster-schema.ts';
import { createOperation, createStep, DEPLOY } from './input-fixtures.ts';
import { locateInFile } from './locate-in-cluster-file.ts';
import { readInputs } from './read-inputs.ts';
import type { RawInputs } from './step-inputs.ts';

describe('a cluster file', () => {
  test('describes everything that is no secret', async () => {
    const { values } = await parseFile(FULL_FILE);
    expect([...values.keys()].sort()).toEqual([...CLUSTER_KEYS].sort());
    const { inputs, problems } = await readInputsFromFile(FULL_FILE);
    expect(problems).toEqual([]);
    expect(inputs).toMatchObject({
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
        instanceProfile: 'postgres-nodes',
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
      allowCollationLabel: 'may-sort',
      allowSlotLossLabel: 'may-lose',
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
    const both = await readInputsFromFile(file, { step: inputs });
    expect(both.problems).toEqual([]);
    const single = readInputs({ step: createStep(inputs), file: null }, DEPLOY);
    expect((await readInputsFromFile(file)).inputs).toEqual({
      ...single.inputs,
      clusterFile: CLUSTER_FILE_PATH,
    });
  });
});

describe('a broken file gets one message, on its line', () => {
  test.each<[string, string | Buffer, number, RegExp]>([
    [
      'a tab as indentation',
      `${MINIMAL_FILE}settings:\n\twork_mem: 8MB\n`,
      5,
      /a tab is used where YAML/,
    ],
    ['an anchor', `${MINIMAL_FILE}primary: &a node-1\n`, 4, /an anchor \(&\) names a value/],
    [
      'an alias',
      `${MINIMAL_FILE}settings: {jit: off}\nbackend_config: *a\n`,
      5,
      /an alias \(\*\) refers to a value elsewhere/,
    ],
    [
      'aliases that multiply',
      `${MINIMAL_FILE}settings:\n  a: &a [x, x]\n  b: [*a, *a]\n`,
      5,
      /an anchor \(&\)/,
    ],
    ['a tag', `${MINIMAL_FILE}replica_count: !!int "2"\n`, 4, /a tag \(!\)/],
    [
      'a key given twice',
      `${MINIMAL_FILE}region: us-east-1\nregion: us-east-2\n`,
      5,
      /region is given twice, first in line 4/,
    ],
    [
      'a setting given twice',
      `${MINIMAL_FILE}settings:\n  jit: off\n  jit: on\n`,
      6,
      /settings: jit is given twice/,
    ],
    [
      'a setting given twice in two cases',
      `${MINIMAL_FILE}settings:\n  jit: off\n  JIT: on\n`,
      6,
      /settings: jit was given in line 5 already/,
    ],
    [
      'a text for a number',
      `${MINIMAL_FILE}replica_count: two\n`,
      4,
      /replica_count: "two" is not allowed\. Allowed: a whole number from 0 to 15/,
    ],
    [
      'a number in quotes',
      `${MINIMAL_FILE}replica_count: "2"\n`,
      4,
      /replica_count: "2" is not allowed/,
    ],
    ['a fraction', `${MINIMAL_FILE}replica_count: 1.5\n`, 4, /replica_count: 1\.5 is not allowed/],
    [
      'a list for a number',
      `${MINIMAL_FILE}replica_count: [2]\n`,
      4,
      /replica_count: a list is not allowed/,
    ],
    [
      'a text for a list',
      `${MINIMAL_FILE}client_cidrs: 10.0.0.0/16\n`,
      4,
      /client_cidrs: "10\.0\.0\.0\/16" is not allowed\. Allowed: a list of IPv4 networks/,
    ],
    [
      'one item of a list',
      `${MINIMAL_FILE}client_cidrs:\n  - 10.0.0.0/16\n  - 10.0.0.1/16\n`,
      6,
      /client_cidrs: "10\.0\.0\.1\/16" is not allowed\. .*Did you mean 10\.0\.0\.0\/16\?/,
    ],
    ['a map for a text', `${MINIMAL_FILE}region: {a: b}\n`, 4, /region: a map is not allowed/],
    ['a text for a map', `${MINIMAL_FILE}settings: jit = off\n`, 4, /settings: not a map/],
    [
      'a word for a flag',
      `${MINIMAL_FILE}require_signature: yes\n`,
      4,
      /require_signature: "yes" is not allowed\. Allowed: true or false/,
    ],
    ['a key without a value', `${MINIMAL_FILE}primary:\n`, 4, /primary: has no value/],
    [
      'a setting without a value',
      `${MINIMAL_FILE}settings:\n  work_mem:\n`,
      5,
      /settings: work_mem has no value/,
    ],
    [
      'a reserved setting',
      `${MINIMAL_FILE}settings:\n  jit: off\n  port: 5433\n`,
      6,
      /settings: port is not allowed\. .*5432/,
    ],
    [
      'a setting in two keys',
      `${MINIMAL_FILE}max_connections: 200\nsettings:\n  max_connections: 200\n`,
      4,
      /max_connections: max_connections is given in clusters\/orders\.yml:6: settings, as well/,
    ],
    [
      'an unknown key',
      `${MINIMAL_FILE}replicas: 2\n`,
      4,
      /unknown key replicas\. Allowed: cluster_name, /,
    ],
    [
      'a mistyped key',
      `${MINIMAL_FILE}replica_cuont: 2\n`,
      4,
      /unknown key replica_cuont\. Did you mean replica_count\?/,
    ],
    [
      'a key with dashes',
      `${MINIMAL_FILE}replica-count: 2\n`,
      4,
      /unknown key "replica-count"\. Did you mean replica_count\?/,
    ],
    ['__proto__', `${MINIMAL_FILE}__proto__: 2\n`, 4, /unknown key __proto__/],
    [
      'an input of one run',
      `${MINIMAL_FILE}command: apply\n`,
      4,
      /command does not describe the cluster\. Give it as the input command/,
    ],
    ['a merge key', `${MINIMAL_FILE}<<: {region: us-east-1}\n`, 4, /unknown key "<<"/],
    [
      'a wrong value',
      `${MINIMAL_FILE}region: us-eats-1\n`,
      4,
      /region: "us-eats-1" is not allowed\. .*Did you mean us-east-1\?/,
    ],
    ['a byte-order mark', `\uFEFF${MINIMAL_FILE}`, 1, /begins with a byte-order mark/],
    [
      'line ends of Windows',
      MINIMAL_FILE.replaceAll('\n', '\r\n'),
      1,
      /ends with a carriage return/,
    ],
    [
      'another encoding',
      Buffer.from('cluster_name: b\xfccher\n', 'latin1'),
      1,
      /not text in UTF-8/,
    ],
    [
      'a control character',
      `${MINIMAL_FILE}primary: "\u0007"\n`,
      4,
      /"\\u0007" is a control character/,
    ],
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
    ['two documents', `${MINIMAL_FILE}---\n${MINIMAL_FILE}`, 4, /a second document begins here/],
    ['an open bracket', `${MINIMAL_FILE}client_cidrs: [10.0.0.0/16\n`, 5, /not YAML/],
    [
      'a nest',
      `${MINIMAL_FILE}backend_config: ${'['.repeat(30_000)}`,
      4,
      /nested too deeply|not YAML/,
    ],
    [
      'a deep nest',
      `${MINIMAL_FILE}backend_config: ${'{a: '.repeat(40)}1${'}'.repeat(40)}\n`,
      4,
      /nested too deeply/,
    ],
    [
      'a secret that YAML takes for a block',
      `${MINIMAL_FILE}postgres_password: |hunter2-hunter2\n`,
      4,
      /not YAML/,
    ],
    [
      'a secret that YAML takes for a tag',
      `${MINIMAL_FILE}postgres_password: !kX9!hunter2-hunter2\n`,
      4,
      /a tag \(!\)/,
    ],
    ['a secret with an escape', `${MINIMAL_FILE}postgres_password: "\\hunter2"\n`, 4, /not YAML/],
    [
      'a fraction of connections',
      `${MINIMAL_FILE}max_connections: 200.5\n`,
      4,
      /max_connections: 200\.5 is not allowed/,
    ],
    [
      'nothing in a list',
      `${MINIMAL_FILE}client_cidrs:\n  -\n`,
      5,
      /client_cidrs: null is not allowed/,
    ],
    [
      'a mistyped name',
      MINIMAL_FILE.replace('cluster_name', 'cluster_nam'),
      1,
      /Did you mean cluster_name/,
    ],
    [
      'a backend without its settings',
      MINIMAL_FILE.replace('local', 'gcs').replace(
        'gcs',
        's3\nbackend_config: {bucket: b, key: k}',
      ),
      4,
      /backend_config: region is missing; backend s3 needs it/,
    ],
    [
      'a missing name',
      MINIMAL_FILE.replace('cluster_name: orders\n', ''),
      1,
      /cluster_name: missing/,
    ],
    [
      'a secret',
      `${MINIMAL_FILE}postgres_password: hunter2-hunter2\n`,
      4,
      /postgres_password: the file contains a secret/,
    ],
    [
      'a private key',
      `${MINIMAL_FILE}ssh_public_key: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  aHVudGVyMg\n`,
      4,
      /the file contains a private key/,
    ],
    [
      'a secret of the backend',
      `${MINIMAL_FILE}backend_config:\n  path: x\n  secret_key: hunter2\n`,
      6,
      /backend_config: secret_key is a secret/,
    ],
    [
      'a placeholder',
      MINIMAL_FILE.replace('203.0.113.0/24', 'NETWORK/OF/YOUR/RUNNERS'),
      2,
      /ssh_cidrs: still has the placeholder NETWORK\/OF\/YOUR\/RUNNERS/,
    ],
    [
      'a key of the example',
      `${MINIMAL_FILE}image: ghcr.io/OWNER/postgres\n`,
      4,
      /image: still has the placeholder OWNER/,
    ],
  ])('%s', async (_, text, line, expected) => {
    const { inputs, problems } = await readInputsFromFile(text);
    expect(inputs).toBeNull();
    expect(problems).toEqual([expect.stringMatching(expected)]);
    expect(problems[0]).toMatch(new RegExp(`^clusters/orders\\.yml:${line}: `));
    expect(problems.join()).not.toContain('hunter2');
    expect(problems.join()).not.toContain('aHVudGVyMg');
    const place = locateInFile(problems[0] ?? '', {
      path: CLUSTER_FILE_PATH,
      file: null,
      given: {},
    });
    expect(place).toEqual({ file: CLUSTER_FILE_PATH, startLine: line, title: 'Cluster file' });
  });

  test('the secret in it is known, to be hidden', async () => {
    const { secrets } = await parseFile(`${MINIMAL_FILE}review_key: hunter2-hunter2\n`);
    expect(secrets).toEqual(['hunter2-hunter2']);
  });

  test('one that is too short to be hidden leaves the message as it is', async () => {
    const { problems } = await readInputsFromFile(`${MINIMAL_FILE}postgres_password: e\n`);
    expect(problems).toEqual([
      expect.stringMatching(
        /^clusters\/orders\.yml:4: postgres_password: the file contains a secret/,
      ),
    ]);
  });

  test('a backend without any of its settings', async () => {
    const { problems } = await readInputsFromFile(MINIMAL_FILE.replace('local', 's3'));
    expect(problems).toEqual(
      ['bucket', 'key', 'region'].map(
        (key) => `clusters/orders.yml:3: backend: ${key} is missing; backend s3 needs it.`,
      ),
    );
  });

  test('numbers of a backend stay as they are written', async () => {
    const config =
      'backend_config: {bucket: 0123, key: 1.10, region: 1e3, list: [010], flag: true}';
    const { inputs } = await readInputsFromFile(
      `${MINIMAL_FILE.replace('local', 's3')}${config}\n`,
    );
    expect(inputs?.backend?.config).toMatchObject({
      bucket: '0123',
      key: '1.10',
      region: '1e3',
      list: ['010'],
      flag: true,
    });
  });

  test('a key whose comment differs is the same key, and none is shown', async () => {
    const file = `${MINIMAL_FILE}ssh_public_key: ${KEY_A} orders\n`;
    expect(
      (await readInputsFromFile(file, { step: { 'ssh-public-key': KEY_A } })).problems,
    ).toEqual([]);
    expect(
      (await readInputsFromFile(file, { step: { 'ssh-public-key': KEY_B } })).problems,
    ).toEqual([
      'clusters/orders.yml:4: ssh_public_key: is not what the input ssh-public-key says. Give ssh_public_key in one place.',
    ]);
    const armour = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwsecretsec\n-----END PRIVATE KEY-----';
    const { problems } = await readInputsFromFile(file, { step: { 'ssh-public-key': armour } });
    expect(problems).toEqual([expect.stringMatching(/^ssh-public-key: holds a private key/)]);
  });

  test('every other cluster’s name is told where two places differ', async () => {
    const { problems } = await readInputsFromFile(MINIMAL_FILE, {
      step: { 'cluster-name': 'billing' },
    });
    expect(problems).toEqual([
      'clusters/orders.yml:1: cluster_name: "orders" is not what the input cluster-name says, which is "billing". Give cluster_name in one place.',
    ]);
  });

  test('an event says nothing against a file', async () => {
    const call = { intent: createOperation('generate', { replica_count: 4 }) };
    expect((await readInputsFromFile(`${MINIMAL_FILE}replica_count: 3\n`, call)).problems).toEqual([
      'clusters/orders.yml:4: replica_count: 3 is not what client_payload.replica_count says, which is "4". Give replica_count in one place.',
    ]);
    expect((await readInputsFromFile(`${MINIMAL_FILE}replica_count: 4\n`, call)).problems).toEqual(
      [],
    );
  });

  test('a problem that names an input is shown at its key', async () => {
    const file = await parseFile(MINIMAL_FILE);
    const locate = (problem: string, given: RawInputs = {}) =>
      locateInFile(problem, { path: CLUSTER_FILE_PATH, file, given });
    expect(locate('cluster-name: the state is of billing.')).toMatchObject({
      file: CLUSTER_FILE_PATH,
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
    const file = await parseFile(`${MINIMAL_FILE}settings:\n${settings}`);
    expect(locateInFile(problem, { path: CLUSTER_FILE_PATH, file, given: {} })).toMatchObject({
      file: CLUSTER_FILE_PATH,
      startLine,
    });
  });
});
