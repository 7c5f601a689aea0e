import { describe, expect, test } from 'vitest';
import type { Intent } from '../runner/intent.ts';
import { CLUSTER_KEYS, findKey, nameInput } from './cluster-schema.ts';
import { ACTION_INPUTS, createOperation, DEPLOY, REVIEW, readStep } from './input-fixtures.ts';
import { SECRET_INPUTS } from './secrets.ts';
import { DEFAULTED_INPUTS, INPUT_NAMES, type RawInputs, separateDefaults } from './step-inputs.ts';

describe('readInputs', () => {
  test('checks the inputs of action.yml', () => {
    expect([...INPUT_NAMES].sort()).toEqual(Object.keys(ACTION_INPUTS).sort());
  });

  test('every input can be in a cluster file, except secrets and the inputs of a single run', () => {
    const inFile = CLUSTER_KEYS.map(nameInput);
    const ofOneRun = [
      'command',
      'fenced',
      'replace',
      'replace-volume',
      'discard',
      'discard-data',
      'backup-type',
      'destroy',
      'request',
      'cluster-file',
      'registry-username',
    ];
    expect([...inFile, ...SECRET_INPUTS, ...ofOneRun].sort()).toEqual(
      Object.keys(ACTION_INPUTS).sort(),
    );
  });

  test('defaults that describe a cluster are distinguished from given values', () => {
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
    // An empty value, e.g. of a variable that does not exist, is not a default.
    expect(readStep({ 'replica-count': '' }).problems).toEqual([
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
  ])('a required signature requires a key: %s', (_, intent, inputs, problems) => {
    expect(readStep({ 'require-signature': 'true', ...inputs }, intent).problems).toEqual(
      problems.map((problem) => expect.stringMatching(problem)),
    );
  });

  test('returns typed inputs', () => {
    const { inputs } = readStep({
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
    ['command', 'demolish'],
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
  ])('%s %j is one problem with the input, the value and an example', (name, value) => {
    const { problems } = readStep({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name}: `));
    expect(problems[0]).toContain(JSON.stringify(value.slice(0, 64)).slice(1, -1));
    expect(problems[0]).toMatch(/Allowed: .*, e\.g\. /);
  });

  test('refuses label names by which the action itself would allow a loss of data', () => {
    const taken = { 'label-prefix': 'db/', 'allow-destroy-label': 'DB/Destroy' };
    expect(readStep(taken).problems).toEqual([
      expect.stringMatching(/^label-prefix: "db\/" is not allowed\. .*"db\/destroy" itself/),
    ]);
    const slots = { 'label-prefix': 'db/', 'allow-slot-loss-label': 'db/switchover' };
    expect(readStep(slots).problems).toEqual([expect.stringMatching(/\(allow-slot-loss-label\)/)]);
    const shared = { 'allow-plan-label': 'Allow-Slot-Loss' };
    expect(readStep(shared).problems).toEqual([
      expect.stringMatching(/^allow-plan-label: .*the label of allow-slot-loss-label, too/),
    ]);
    expect(readStep({ 'label-prefix': 'allow-' }).problems).toHaveLength(1);
    const plan = { 'label-prefix': 'db/', 'allow-plan-label': 'db/restart' };
    expect(readStep(plan).problems).toEqual([
      expect.stringMatching(/^label-prefix: .*"db\/restart" itself, .*\(allow-plan-label\)/),
    ]);
    expect(readStep({ 'allow-plan-label': 'Allow-Destroy' }).problems).toEqual([
      expect.stringMatching(
        /^allow-plan-label: "Allow-Destroy" is not allowed\. It is the label of/,
      ),
    ]);
    expect(readStep({ 'allow-plan-label': 'allow-collation-change' }).problems).toEqual([
      expect.stringMatching(/It is the label of allow-collation-label, too/),
    ]);
    expect(readStep({ 'label-prefix': 'db/' }).inputs?.labelPrefix).toBe('db/');
    expect(readStep().inputs?.labelPrefix).toBeNull();
  });

  test('an invalid path is not reported in the comment of the cluster with the default name', () => {
    const result = readStep({ 'cluster-file': '../orders.yml' });
    expect(result.problems).toEqual([expect.stringMatching(/^cluster-file: "\.\.\/orders\.yml"/)]);
    expect(result.inputs === null && result.cluster).toBeNull();
    const plain = readStep({ region: 'nowhere' });
    expect(plain.inputs === null && plain.cluster?.name).toBe('postgres');
  });

  test('reports all problems at once', () => {
    const { problems } = readStep({
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

  test('returns the primary and the number of synchronous replicas', () => {
    expect(readStep().inputs?.spec).toMatchObject({ primary: null, synchronousReplicas: 0 });
    const { inputs } = readStep({ primary: 'node-3', 'synchronous-replicas': '2' });
    expect(inputs?.spec).toMatchObject({ primary: 'node-3', synchronousReplicas: 2 });
  });

  test('an invalid replica count is one problem, without those that depend on it', () => {
    const { problems } = readStep({ 'replica-count': 'two', primary: 'node-9' });
    expect(problems).toEqual([expect.stringMatching(/^replica-count: "two"/)]);
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
    ])('%s requires only the secrets that it uses', (_, intent, missing) => {
      const { problems } = readStep(none, intent);
      expect(problems.map((problem) => problem.split(':')[0])).toEqual(missing);
      for (const problem of problems) expect(problem).toContain('secrets.');
    });

    test('a password with a line break is refused and not shown', () => {
      const { problems } = readStep({ 'postgres-password': 'hunter2\n' });
      expect(problems).toHaveLength(1);
      expect(problems[0]).not.toContain('hunter2');
    });
  });
});
