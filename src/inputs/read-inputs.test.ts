import { describe, expect, test } from 'vitest';
import type { Intent } from '../runner/intent.ts';
import { CLUSTER_KEYS, findKey, nameInput } from './cluster-schema.ts';
import { ACTION_INPUTS, createOperation, createStep, DEPLOY, REVIEW } from './input-fixtures.ts';
import { type InputResult, readInputs } from './read-inputs.ts';
import { SECRET_INPUTS } from './secrets.ts';
import { DEFAULTED_INPUTS, INPUT_NAMES, type RawInputs, separateDefaults } from './step-inputs.ts';

function read(overrides: RawInputs = {}, intent: Intent = DEPLOY): InputResult {
  return readInputs({ step: createStep(overrides), file: null }, intent);
}

describe('readInputs', () => {
  test('the inputs it checks are those of action.yml', () => {
    expect([...INPUT_NAMES].sort()).toEqual(Object.keys(ACTION_INPUTS).sort());
  });

  test('every input can be in a cluster file, unless it is a secret or says what one run does', () => {
    const inFile = CLUSTER_KEYS.map(nameInput);
    const ofOneRun = [
      'command',
      'fenced',
      'replace',
      'replace-volume',
      'request',
      'cluster-file',
      'registry-username',
    ];
    expect([...inFile, ...SECRET_INPUTS, ...ofOneRun].sort()).toEqual(
      Object.keys(ACTION_INPUTS).sort(),
    );
  });

  test('a default that describes a cluster can be told from a value that was given', () => {
    const defaults = Object.entries(ACTION_INPUTS).filter(
      ([name, input]) => findKey(name) !== null && input.default !== '',
    );
    expect(defaults.map(([name]) => name).sort()).toEqual([...DEFAULTED_INPUTS].sort());
    for (const [name, input] of defaults) {
      expect(input.default, name).toMatch(/^\S.* $/);
      const step = separateDefaults((asked) => (asked === name ? (input.default ?? '') : ''));
      expect(step.defaults[name]).toBe(input.default?.trim());
      expect(step.given).not.toHaveProperty(name);
      const given = separateDefaults((asked) =>
        asked === name ? (input.default ?? '').trim() : '',
      );
      expect(given.given[name]).toBe(input.default?.trim());
    }
    // A variable that does not exist is no default.
    expect(read({ 'replica-count': '' }).problems).toEqual([
      expect.stringMatching(/^replica-count: "" is not allowed/),
    ]);
  });

  test.each<[string, Intent, RawInputs, readonly RegExp[]]>([
    ['a merge', DEPLOY, {}, [/^review-key: missing\. require-signature is true/]],
    ['a pull request', REVIEW, {}, [/^review-key: missing\. require-signature is true/]],
    ['a fork’s pull request', { ...REVIEW, withoutSecrets: 'a fork' }, {}, []],
    ['one operation', createOperation('apply'), {}, []],
    ['a merge with a key', DEPLOY, { 'review-key': 'k'.repeat(32) }, []],
    ['a merge with a key that is too short', DEPLOY, { 'review-key': 'k' }, [/^review-key: /]],
    ['a merge that does not require it', DEPLOY, { 'require-signature': 'false' }, []],
    [
      'neither true nor false',
      DEPLOY,
      { 'require-signature': 'yes' },
      [/^require-signature: "yes" is not allowed\. Allowed: true or false/],
    ],
  ])('a signature that is required needs a key: %s', (_, intent, inputs, problems) => {
    expect(read({ 'require-signature': 'true', ...inputs }, intent).problems).toEqual(
      problems.map((problem) => expect.stringMatching(problem)),
    );
  });

  test('gives a typed request', () => {
    const { inputs } = read({
      'replica-count': '3',
      'client-cidrs': '10.0.0.0/8, 192.168.0.0/16\n10.0.0.0/8',
    });
    expect(inputs?.spec).toMatchObject({
      name: 'postgres',
      replicaCount: 3,
      settings: { max_connections: '100', shared_buffers: '256MB' },
      clientCidrs: ['10.0.0.0/8', '192.168.0.0/16'],
    });
    expect(inputs?.workingDirectory).toBe('.postgres-cluster/postgres');
    expect(inputs?.backend).toEqual({
      type: 's3',
      config: {
        bucket: 'states',
        key: 'postgres',
        region: 'us-east-1',
        use_lockfile: true,
        encrypt: true,
      },
    });
  });

  test.each<[string, string]>([
    ['replica-count', '-1'],
    ['replica-count', '1.5'],
    ['replica-count', 'two'],
    ['replica-count', '1000'],
    ['shared-buffers', '256'],
    ['shared-buffers', '256 megs'],
    ['shared-buffers', '0MB'],
    ['shared-buffers', '256mb'],
    ['max-connections', '0'],
    ['max-connections', 'lots'],
    ['region', 'moon-east-1'],
    ['region', 'us-east-9'],
    ['instance-type', 'large'],
    ['instance-type', 't3.medium; rm -rf /'],
    ['image-tag', '17 alpine'],
    ['image-tag', '17$(id)'],
    ['image-tag', '13-alpine'],
    ['image', 'postgres:17'],
    ['image', '-/a'],
    ['image-tag', 'latest'],
    ['image-tag', '130'],
    ['shared-buffers', '9999999TB'],
    ['cluster-name', 'sg-1'],
    ['ssh-cidrs', '010.0.0.0/8'],
    ['subnet-ids', 'subnet-0123456789ab'],
    ['working-directory', 'x" -o ProxyCommand="touch'],
    ['working-directory', '/etc'],
    ['cluster-name', 'Orders'],
    ['cluster-name', 'a'.repeat(64)],
    ['cluster-name', '../x'],
    ['command', 'destroy'],
    ['primary', 'node-0'],
    ['primary', 'node-4'],
    ['primary', '2'],
    ['synchronous-replicas', '-1'],
    ['synchronous-replicas', '3'],
    ['fenced', 'the old one'],
    ['shared-buffers', '0256MB'],
    ['ssh-cidrs', '10.0.0.1/24'],
    ['client-cidrs', 'office'],
    ['subnet-ids', 'subnet-1'],
    ['instance-profile', 'arn:aws:iam::123456789012:instance-profile/team/nodes'],
    ['instance-profile', 'team/nodes'],
    ['instance-profile', 'n'.repeat(129)],
    ['ssh-user', 'root;id'],
    ['working-directory', '../../etc'],
    ['label-prefix', '@acme/'],
  ])('%s %j is one problem that names it, what was given and an example', (name, value) => {
    const { problems } = read({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name}: `));
    expect(problems[0]).toContain(JSON.stringify(value.slice(0, 64)).slice(1, -1));
    expect(problems[0]).toMatch(/Allowed: .*, e\.g\. /);
  });

  test('does not set the label itself by which people allow a loss of data', () => {
    const taken = { 'label-prefix': 'db/', 'allow-destroy-label': 'DB/Destroy' };
    expect(read(taken).problems).toEqual([
      expect.stringMatching(/^label-prefix: "db\/" is not allowed\. .*"db\/destroy" itself/),
    ]);
    const slots = { 'label-prefix': 'db/', 'allow-slot-loss-label': 'db/switchover' };
    expect(read(slots).problems).toEqual([expect.stringMatching(/\(allow-slot-loss-label\)/)]);
    const shared = { 'allow-plan-label': 'Allow-Slot-Loss' };
    expect(read(shared).problems).toEqual([
      expect.stringMatching(/^allow-plan-label: .*the label of allow-slot-loss-label, too/),
    ]);
    expect(read({ 'label-prefix': 'allow-' }).problems).toHaveLength(1);
    const plan = { 'label-prefix': 'db/', 'allow-plan-label': 'db/restart' };
    expect(read(plan).problems).toEqual([
      expect.stringMatching(/^label-prefix: .*"db\/restart" itself, .*\(allow-plan-label\)/),
    ]);
    expect(read({ 'allow-plan-label': 'Allow-Destroy' }).problems).toEqual([
      expect.stringMatching(
        /^allow-plan-label: "Allow-Destroy" is not allowed\. It is the label of/,
      ),
    ]);
    expect(read({ 'allow-plan-label': 'allow-collation-change' }).problems).toEqual([
      expect.stringMatching(/It is the label of allow-collation-label, too/),
    ]);
    expect(read({ 'label-prefix': 'db/' }).inputs?.labelPrefix).toBe('db/');
    expect(read().inputs?.labelPrefix).toBeNull();
  });

  test('a path that is no file’s is not told in the comment of the cluster named by default', () => {
    const result = read({ 'cluster-file': '../orders.yml' });
    expect(result.problems).toEqual([expect.stringMatching(/^cluster-file: "\.\.\/orders\.yml"/)]);
    expect(result.inputs === null && result.cluster).toBeNull();
    const plain = read({ region: 'nowhere' });
    expect(plain.inputs === null && plain.cluster?.name).toBe('postgres');
  });

  test('reports all problems at once', () => {
    const { problems } = read({
      'replica-count': '-1',
      'max-connections': 'lots',
      region: 'nowhere',
      'postgres-password': '',
    });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'replica-count',
      'region',
      'max-connections',
      'postgres-password',
    ]);
  });

  test('gives the primary and the replicas that are waited for', () => {
    expect(read().inputs?.spec).toMatchObject({ primary: null, synchronousReplicas: 0 });
    const { inputs } = read({ primary: 'node-3', 'synchronous-replicas': '2' });
    expect(inputs?.spec).toMatchObject({ primary: 'node-3', synchronousReplicas: 2 });
  });

  test('a replica count that is none is one problem, whatever depends on it', () => {
    const { problems } = read({ 'replica-count': 'two', primary: 'node-9' });
    expect(problems).toEqual([expect.stringMatching(/^replica-count: "two"/)]);
  });

  describe('settings', () => {
    const readSettings = (overrides: RawInputs) => {
      const { inputs, problems } = read(overrides);
      expect(problems).toEqual([]);
      return inputs?.spec.settings;
    };

    test('come as postgresql.conf has them, with those that have an input of their own', () => {
      const settings = "Work_Mem = 8MB # reports\n\nlog_line_prefix = '%m '\n";
      expect(readSettings({ settings, 'max-connections': '0200' })).toEqual({
        max_connections: '200',
        shared_buffers: '256MB',
        work_mem: '8MB',
        log_line_prefix: '%m ',
      });
    });

    test('take the place of an input that is empty', () => {
      const settings = 'max_connections = 300\nshared_buffers = 1.5GB';
      expect(readSettings({ settings })).toEqual({
        max_connections: '300',
        shared_buffers: '1.5GB',
      });
      expect(read({ settings, 'max-connections': '300' }).problems).toEqual([
        'max-connections: max_connections is given in settings, line 1, as well. Keep one of them.',
      ]);
    });

    test('are given in one place, unless an event says otherwise for its run', () => {
      const body = createOperation('configure', { max_connections: 300 });
      const { inputs } = read({ settings: 'max_connections = 200\njit = off' }, body);
      expect(inputs?.spec.settings).toMatchObject({ max_connections: '300', jit: 'off' });
      const single = JSON.stringify({ max_connections: 300 });
      expect(read({ request: single, settings: 'max_connections = 200' }).problems).toEqual([
        'request.max_connections: max_connections is given in settings, line 1, as well. Keep one of them.',
      ]);
      const lines = JSON.stringify({ settings: 'max_connections = 300' });
      expect(read({ request: lines, 'max-connections': '200' }).problems).toEqual([
        'max-connections: max_connections is given in request.settings, line 1, as well. Keep one of them.',
      ]);
      const both = JSON.stringify({ settings: 'max_connections = 300', max_connections: 200 });
      expect(read({ request: both }).problems).toEqual([
        'request.max_connections: max_connections is given in request.settings, line 1, as well. Keep one of them.',
      ]);
    });

    test('report every line at once', () => {
      const settings = 'port = 5433\n\nwork_mem\nmax_wal_senders = 3\nfsync = off';
      expect(read({ settings }).problems).toEqual([
        expect.stringMatching(/^settings: line 1: port is not allowed\. .*5432/),
        expect.stringMatching(/^settings: line 3: work_mem has no value/),
        expect.stringMatching(
          /^settings: line 4: max_wal_senders = 3 is not enough for 2 replicas/,
        ),
        expect.stringMatching(/^settings: line 5: fsync = off is not allowed/),
      ]);
    });
  });

  describe('failover', () => {
    const failover = (body?: unknown): Intent => ({
      kind: 'failover',
      body,
      sha: 'a'.repeat(40),
      why: 'test',
    });

    test('takes the node that a person has fenced, from the input or the event', () => {
      expect(read({}, failover()).inputs?.fenced).toBeNull();
      expect(read({ fenced: 'node-1' }, failover()).inputs?.fenced).toBe('node-1');
      expect(read({}, failover({ fenced: 'node-2' })).inputs?.fenced).toBe('node-2');
      expect(read({}, failover({ fenced: 'the old one' })).problems).toEqual([
        expect.stringMatching(/^client_payload\.fenced: "the old one" is not allowed\./),
      ]);
      expect(read({ request: '{"fenced": "x"}' }, failover()).problems).toEqual([
        expect.stringMatching(/^request\.fenced: "x" is not allowed\./),
      ]);
      expect(read({}, failover({ fenced: true })).problems).toEqual([
        expect.stringMatching(/^client_payload\.fenced: "true" is not a string/),
      ]);
      expect(read({}, failover({ node: 'node-2' })).problems).toEqual([
        'client_payload: unknown key "node". Allowed: fenced.',
      ]);
    });

    test('works on the cluster that the request describes, whatever the event says besides', () => {
      const request = '{"replica_count": 3, "image_tag": "16", "primary": "node-2"}';
      const found = read({ request }, failover({ fenced: 'node-1' }));
      expect(found.problems).toEqual([]);
      expect(found.inputs).toMatchObject({
        fenced: 'node-1',
        spec: { replicaCount: 3, imageTag: '16', primary: 'node-2' },
      });
    });

    test('a fenced node means nothing to a deploy, and does not stop it', () => {
      expect(read({ fenced: 'node-1' }).problems).toEqual([]);
    });
  });

  describe('a replacement', () => {
    const replace = (body?: unknown): Intent => ({
      ...{ kind: 'replace', body, sha: 'a'.repeat(40), why: 'test' },
    });

    test('takes the node and its volume from the input or the event', () => {
      expect(read({ replace: 'node-2' }, replace()).inputs).toMatchObject({
        ...{ replace: 'node-2', replaceVolume: false },
      });
      const body = { replace: 'node-3', replace_volume: true };
      expect(read({ replace: 'node-2' }, replace(body)).inputs).toMatchObject({
        ...{ replace: 'node-3', replaceVolume: true },
      });
      expect(read({}, replace({ replace: 'the slow one' })).problems).toEqual([
        expect.stringMatching(/^client_payload\.replace: "the slow one" is not allowed\./),
      ]);
      expect(read({ replace: 'node-2', 'replace-volume': 'yes' }, replace()).problems).toEqual([
        expect.stringMatching(/^replace-volume: "yes" is not allowed\./),
      ]);
      expect(read({}, replace({ fenced: 'node-2', replace: 'node-2' })).problems).toEqual([
        'client_payload: unknown key "fenced". Allowed: replace, replace_volume. Give it as the input fenced.',
      ]);
    });

    test('needs a node, and what logs in', () => {
      expect(read({}, replace()).problems).toEqual([
        'replace: missing. Name the node that gets another instance, e.g. node-2.',
      ]);
      const noKey = read({ replace: 'node-2', 'postgres-password': '' }, replace());
      expect(noKey.problems).toEqual([expect.stringMatching(/^postgres-password: missing/)]);
    });

    test('destroys no volume where no label may allow it', () => {
      const step = { replace: 'node-2', 'replace-volume': 'true', 'allow-destroy-label': '' };
      expect(read(step, replace()).problems).toEqual([
        expect.stringMatching(/^replace-volume: "true" is not allowed.*allow-destroy-label/),
      ]);
    });

    test('means nothing to a deploy', () => {
      expect(read({ replace: 'node-2' }).problems).toEqual([]);
    });
  });

  describe('a value in two places', () => {
    test.each<[string, RawInputs, string]>([
      [
        'the input request and a single input',
        { request: '{"replica_count": 4}', 'replica-count': '3' },
        'request.replica_count: "4" is not what the input replica-count says, which is "3". Give replica_count in one place.',
      ],
      [
        'a single input that says what the default is',
        { request: '{"replica_count": 4}', 'replica-count': '2' },
        'request.replica_count: "4" is not what the input replica-count says, which is "2". Give replica_count in one place.',
      ],
      [
        'settings',
        { request: '{"settings": "jit = off"}', settings: 'jit = on' },
        'request.settings: is not what the input settings says. Give settings in one place.',
      ],
    ])('differs: %s', (_, inputs, problem) => {
      expect(read(inputs).problems).toEqual([problem]);
    });

    test('may come to the same', () => {
      const request = '{"replica_count": "03", "settings": "jit = off\\nwork_mem = 8MB"}';
      const inputs = { request, 'replica-count': '3', settings: "Work_Mem = '8MB'\njit = off" };
      expect(read(inputs).problems).toEqual([]);
    });

    test('is what an event says for its run', () => {
      const event = createOperation('generate', { replica_count: 4 });
      const { inputs } = read({ 'replica-count': '3', request: '{"replica_count": 3}' }, event);
      expect(inputs?.spec.replicaCount).toBe(4);
    });
  });

  describe('request body', () => {
    test('describes the cluster and is named in messages', () => {
      const body = { instance_type: 't2.small', replica_count: 4, region: 'us-east-1' };
      expect(read({ request: JSON.stringify(body) }).inputs?.spec).toMatchObject({
        instanceType: 't2.small',
        replicaCount: 4,
      });
      expect(read({ request: '{"replica_count": 1000}' }).problems).toEqual([
        'request.replica_count: "1000" is not allowed. Allowed: a whole number from 0 to 15, e.g. 2.',
      ]);
    });

    test.each<[string, Intent, string, RegExp]>([
      ['not JSON', DEPLOY, '{replica_count: 2}', /^request: not JSON/],
      ['not an object', DEPLOY, '[1]', /^request: not a JSON object/],
      [
        'an unknown key',
        DEPLOY,
        '{"replicas": 2}',
        /^request: unknown key "replicas"\. Allowed: instance_type/,
      ],
      [
        'a value of another type',
        DEPLOY,
        '{"replica_count": [2]}',
        /^request\.replica_count: .*not a string/,
      ],
    ])('%s is a problem', (_, intent, request, expected) => {
      const { problems } = read({ request }, intent);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(expected);
    });

    test('comes from the event of a repository_dispatch', () => {
      const body = {
        replica_count: 2,
        max_connections: 200,
        shared_buffers: '256MB',
        region: 'us-east-1',
        image_tag: '14-alpine',
      };
      const { inputs } = read({}, createOperation('configure', body));
      expect(inputs?.spec).toMatchObject({
        imageTag: '14-alpine',
        settings: { max_connections: '200', shared_buffers: '256MB' },
      });
      expect(read({}, createOperation('plan', { replica_count: 2 })).problems).toEqual([
        'client_payload: unknown key "replica_count". Allowed: an empty body, as the event plans or applies the cluster that the inputs of the action describe. Remove the key and give its value as an input.',
      ]);
      expect(read({}, createOperation('generate', { image_tag: '17' })).problems).toEqual([
        expect.stringMatching(
          /^client_payload: unknown key "image_tag"\. Allowed: instance_type, /,
        ),
      ]);
    });
  });

  describe('secrets', () => {
    const none = { 'postgres-password': '', 'replication-password': '', 'ssh-private-key': '' };
    test.each<[string, Intent, string[]]>([
      ['generate', createOperation('generate'), []],
      ['plan', createOperation('plan'), ['ssh-private-key']],
      ['apply', createOperation('apply'), ['ssh-private-key']],
      ['a pull request', REVIEW, ['ssh-private-key']],
      [
        'configure',
        createOperation('configure'),
        ['postgres-password', 'replication-password', 'ssh-private-key'],
      ],
      ['a merge', DEPLOY, ['postgres-password', 'replication-password', 'ssh-private-key']],
      [
        'a failover',
        { kind: 'failover', body: undefined, sha: 'a'.repeat(40), why: 'test' },
        ['postgres-password', 'replication-password', 'ssh-private-key'],
      ],
    ])('%s asks for what it needs and no more', (_, intent, missing) => {
      const { problems } = read(none, intent);
      expect(problems.map((problem) => problem.split(':')[0])).toEqual(missing);
      for (const problem of problems) expect(problem).toContain('secrets.');
    });

    test('a password with a line break is refused without being shown', () => {
      const { problems } = read({ 'postgres-password': 'hunter2\n' });
      expect(problems).toHaveLength(1);
      expect(problems[0]).not.toContain('hunter2');
    });
  });

  describe('backend', () => {
    test('a state that would be lost is refused, unless asked for by name', () => {
      expect(read({ backend: '', 'backend-config': '' }).problems).toEqual([
        expect.stringMatching(/^backend: missing\. Terraform would keep its state/),
      ]);
      expect(read({ backend: 'local', 'backend-config': '' }).inputs?.backend?.type).toBe('local');
    });

    test.each<[string, string, RegExp]>([
      ['a secret', 'secret_key = "x"', /^backend-config: secret_key is a secret/],
      [
        'a malformed line',
        'bucket "states"',
        /^backend-config: "bucket \\"states\\"" is not allowed/,
      ],
      ['a missing key', 'bucket = "states"', /^backend-config: key is missing/],
      [
        'a template',
        'bucket = "\u0024{file(1)}"\nkey = "k"\nregion = "r"',
        /^backend-config: bucket has \$\{ or %\{, which begins an expression/,
      ],
      [
        'a template in a block',
        '{"bucket":"b","key":"k","region":"r","assume_role":{"role_arn":"%{ if true }"}}',
        /^backend-config: role_arn has \$\{ or %\{/,
      ],
      ['broken JSON', '{"bucket": }', /^backend-config: not a JSON object/],
      ['a secret inside', '{"assume_role":{"token":"x"}}', /^backend-config: token is a secret/],
      ['a client key', 'client_private_key_pem = "x"', /client_private_key_pem is a secret/],
    ])('%s is a problem', (_, config, expected) => {
      expect(read({ 'backend-config': config }).problems[0]).toMatch(expected);
    });

    test('a key that only sounds like one is no secret', () => {
      const config = 'bucket = "b"\nkey = "k"\nregion = "r"\nskip_credentials_validation = true';
      expect(read({ 'backend-config': config }).problems).toEqual([]);
    });

    test('takes JSON, and leaves the lock to DynamoDB where the team has a table', () => {
      const config = { bucket: 'b', key: 'k', region: 'r', dynamodb_table: 't' };
      expect(read({ 'backend-config': JSON.stringify(config) }).inputs?.backend?.config).toEqual({
        ...config,
        encrypt: true,
      });
    });
  });
});
