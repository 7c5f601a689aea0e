import { describe, expect, test } from 'vitest';
import { createPlan, createResource, readFixture } from '../report/fixtures/plan.ts';
import { canonicalizePlan, hideSensitive, type PlanCounts, summarizePlan } from './plan.ts';

const NONE: PlanCounts = {
  add: 0,
  change: 0,
  replace: 0,
  destroy: 0,
  move: 0,
  import: 0,
  forget: 0,
};

describe('counts', () => {
  test.each<[string, Partial<PlanCounts>, boolean]>([
    ['first', { add: 3 }, true],
    ['empty', {}, false],
    ['update', { change: 3 }, true],
    ['scale-in', { destroy: 1 }, true],
    ['destroy', { destroy: 3 }, true],
    ['outputs', {}, true],
    ['replace', { replace: 1 }, true],
    ['sensitive', { change: 1 }, true],
    ['move', { move: 1, import: 1, forget: 1 }, true],
  ])('%s', (name, counts, hasChanges) => {
    const summary = summarizePlan(readFixture(name).json);
    expect(summary.counts).toEqual({ ...NONE, ...counts });
    expect(summary.hasChanges).toBe(hasChanges);
  });

  test.each<[readonly string[], string, boolean]>([
    [['create'], 'create', true],
    [['update'], 'update', true],
    [['delete'], 'delete', true],
    [['delete', 'create'], 'replace', true],
    [['create', 'delete'], 'replace', true],
    [['create', 'forget'], 'replace', true],
    [['forget'], 'forget', true],
    [['read'], 'read', false],
    [['no-op'], 'no-op', false],
  ])('%j is %s', (actions, action, hasChanges) => {
    const summary = summarizePlan(createPlan([{ address: 'aws_vpc.own', actions }]));
    expect(summary.resources[0]?.action).toBe(action);
    expect(summary.hasChanges).toBe(hasChanges);
  });
});

describe('resources', () => {
  test('have the deepest path that differs, both sides, and whether it forces a replacement', () => {
    const before = {
      id: 'i-1',
      ami: 'ami-1',
      tags: { Name: 'a', 'a.b': 'x' },
      root_block_device: [{ volume_size: 8, encrypted: true }],
      same: [1, 2],
    };
    const after = {
      ami: 'ami-2',
      tags: { Name: 'b' },
      root_block_device: [{ volume_size: 16, encrypted: true }],
      same: [1, 2],
    };
    const [resource] = summarizePlan(
      createPlan([
        {
          address: 'aws_instance.node["1"]',
          actions: ['delete', 'create'],
          before,
          after,
          unknown: { id: true, root_block_device: [{}] },
          replacePaths: [['ami']],
          reason: 'replace_because_cannot_update',
        },
      ]),
    ).resources;
    expect(resource).toMatchObject({
      type: 'aws_instance',
      name: 'node',
      index: '1',
      id: 'i-1',
      reason: 'replace_because_cannot_update',
    });
    const known = (value: unknown) => ({ kind: 'known', value });
    expect(resource?.attributes).toEqual([
      { path: 'ami', before: known('ami-1'), after: known('ami-2'), forcesReplacement: true },
      { path: 'id', before: known('i-1'), after: { kind: 'unknown' }, forcesReplacement: false },
      {
        path: 'root_block_device[0].volume_size',
        before: known(8),
        after: known(16),
        forcesReplacement: false,
      },
      { path: 'tags.Name', before: known('a'), after: known('b'), forcesReplacement: false },
      {
        path: 'tags["a.b"]',
        before: known('x'),
        after: { kind: 'absent' },
        forcesReplacement: false,
      },
    ]);
  });

  test('does not count a spent starter, which an apply still removes from the state', () => {
    const address = 'aws_ec2_instance_state.started["1"]';
    const plan = summarizePlan(createPlan([{ address, actions: ['delete'] }]));
    expect(plan.counts.destroy).toBe(0);
    expect(plan.hasChanges).toBe(true);
    const instance = { address: 'aws_instance.node["1"]', actions: ['delete'] };
    const both = createPlan([{ address, actions: ['delete'] }, instance]);
    expect(summarizePlan(both).counts.destroy).toBe(1);
  });

  test.each<[string, unknown, unknown, string[]]>([
    ['null, [] and {} are the same', { a: null, b: [] }, { a: {}, b: null }, []],
    [
      'a removed block does not shift the others',
      { r: [{ p: 1 }, { p: 2 }, { p: 3 }] },
      { r: [{ p: 2 }, { p: 3 }] },
      ['r[0].p'],
    ],
    ['reordered blocks are equal', { r: [{ p: 1 }, { p: 2 }] }, { r: [{ p: 2 }, { p: 1 }] }, []],
    ['a list of texts differs as a whole', { l: ['a', 'b'] }, { l: ['a', 'c'] }, ['l']],
    ['a map that becomes a text', { m: { a: 1 } }, { m: 'a' }, ['m']],
    ['0, false and "" are values', { a: 0, b: false, c: '' }, {}, ['a', 'b', 'c']],
  ])('%s', (_case, before, after, paths) => {
    const { resources } = summarizePlan(
      createPlan([{ address: 'aws_vpc.own', actions: ['update'], before, after }]),
    );
    expect(resources[0]?.attributes.map(({ path }) => path)).toEqual(paths);
  });

  test('never contain a sensitive value', () => {
    const summary = summarizePlan(readFixture('sensitive').json);
    expect(JSON.stringify(readFixture('sensitive').json)).toContain('hunter2');
    expect(JSON.stringify(summary)).not.toContain('hunter2');
    const paths = summary.resources[0]?.attributes.map(({ path, after }) => [path, after.kind]);
    expect(paths).toEqual([
      ['input.nested[0].deep', 'sensitive'],
      ['input.password', 'sensitive'],
      ['output', 'unknown'],
    ]);
    expect(summary.outputs.map(({ name }) => name)).toEqual(['mixed', 'password']);
  });

  test('hide sensitive parts of a value', () => {
    const plan = createPlan([
      {
        address: 'aws_vpc.own',
        actions: ['update'],
        before: { l: ['a', 'secret1'] },
        after: { l: ['secret2'] },
      },
    ]);
    const [resource] = plan.resource_changes as { change: Record<string, unknown> }[];
    Object.assign(resource?.change ?? {}, {
      before_sensitive: { l: [false, true] },
      after_sensitive: { l: [true] },
    });
    const text = JSON.stringify(summarizePlan(plan));
    expect(text).not.toMatch(/secret[12]/);
    expect(text).toContain('(sensitive value)');
  });
});

describe('drift', () => {
  const plan = createPlan([], {
    resource_drift: [
      createResource({
        address: 'aws_instance.node["1"]',
        actions: ['update'],
        before: { id: 'i-1', instance_type: 't2.small' },
        after: { id: 'i-1', instance_type: 't2.large' },
      }),
      createResource({ address: 'aws_vpc.own', actions: ['delete'], before: { id: 'vpc-1' } }),
      createResource({
        address: 'aws_subnet.own["a"]',
        actions: ['update'],
        before: { id: 'subnet-1', tags: { Name: 'a' }, arn: 'x' },
        after: { id: 'subnet-1', tags: { Name: 'b' }, arn: 'x' },
      }),
      createResource({
        address: 'aws_instance.node["2"]',
        actions: ['update'],
        before: { id: 'i-2', ebs_block_device: [] },
        after: { id: 'i-2', ebs_block_device: [{ volume_id: 'vol-2' }] },
      }),
      createResource({
        address: 'aws_eip.a',
        actions: ['update'],
        before: { t: null },
        after: { t: {} },
      }),
      createResource({
        address: 'aws_iam_role.nodes[0]',
        actions: ['update'],
        before: { id: 'orders', inline_policy: [{ name: 'backups', policy: 'a' }] },
        after: { id: 'orders', inline_policy: [{ name: 'backups', policy: 'b' }] },
      }),
      createResource({
        address: 'aws_vpc_endpoint.s3[0]',
        actions: ['update'],
        before: { id: 'vpce-1', cidr_blocks: ['198.51.100.0/24'] },
        after: { id: 'vpce-1', cidr_blocks: ['203.0.113.0/24'] },
      }),
    ],
    relevant_attributes: [
      { resource: 'aws_instance.node', attribute: [] },
      { resource: 'aws_subnet.own', attribute: ['id'] },
    ],
  });

  test('is read from the plan with its relevance, without attributes that the plan or AWS set', () => {
    expect(summarizePlan(plan).drift).toMatchObject([
      { address: 'aws_instance.node["1"]', action: 'update', relevant: true },
      { address: 'aws_vpc.own', action: 'delete', relevant: false },
      { address: 'aws_subnet.own["a"]', action: 'update', relevant: false },
    ]);
  });
});

test('finds no drift in an unchanged cluster', () => {
  for (const name of ['cluster-scale-out', 'cluster-scale-in', 'cluster-type', 'cluster-open']) {
    expect(summarizePlan(readFixture(name).json).drift).toEqual([]);
  }
});

describe('canonicalizePlan', () => {
  const digest = (plan: unknown) => canonicalizePlan(summarizePlan(plan));
  const one = {
    address: 'aws_vpc.a',
    actions: ['update'],
    before: { id: 'x', c: '1' },
    after: { id: 'x', c: '2' },
  };
  const two = { address: 'aws_vpc.b', actions: ['create'], after: { c: '3' } };

  test.each<[string, unknown, unknown]>([
    ['order', createPlan([one, two]), createPlan([two, one])],
    ['time', createPlan([one], { timestamp: 'a' }), createPlan([one], { timestamp: 'b' })],
    ['Terraform version', createPlan([one]), createPlan([one], { terraform_version: '1.12.0' })],
    ['untouched resources', createPlan([one]), createPlan([one, { ...two, actions: ['no-op'] }])],
    [
      'what a destroyed object looked like',
      createPlan([{ address: 'aws_vpc.a', actions: ['delete'], before: { id: 'x', seen: 1 } }]),
      createPlan([{ address: 'aws_vpc.a', actions: ['delete'], before: { id: 'x', seen: 2 } }]),
    ],
  ])('does not depend on %s', (_case, a, b) => {
    expect(digest(a)).toBe(digest(b));
  });

  test.each<[string, unknown, unknown]>([
    ['a value', createPlan([one]), createPlan([{ ...one, after: { id: 'x', c: '9' } }])],
    ['an action', createPlan([one]), createPlan([{ ...one, actions: ['delete', 'create'] }])],
    ['a resource', createPlan([one]), createPlan([one, two])],
    [
      'the object that is destroyed',
      createPlan([{ address: 'aws_vpc.a', actions: ['delete'], before: { id: 'x' } }]),
      createPlan([{ address: 'aws_vpc.a', actions: ['delete'], before: { id: 'y' } }]),
    ],
    [
      'an output',
      createPlan([]),
      createPlan([], { output_changes: { a: { actions: ['create'], before: null, after: 1 } } }),
    ],
  ])('depends on %s', (_case, a, b) => {
    expect(digest(a)).not.toBe(digest(b));
  });

  test('contains no sensitive value, and the text does not either', () => {
    expect(digest(readFixture('sensitive').json)).not.toContain('hunter2');
    const { text, json } = readFixture('sensitive');
    expect(text).toContain('old-hunter2-secret');
    expect(hideSensitive(text, json)).not.toContain('hunter2');
    expect(hideSensitive(text, json)).toContain('replicator');
  });
});

describe('refuses', () => {
  test.each<[string, unknown, RegExp]>([
    ['other JSON', { outputs: {} }, /no format_version/],
    ['null', null, /no format_version/],
    ['another major format', createPlan([], { format_version: '2.0' }), /format version 2\.0/],
    [
      'a damaged plan',
      createPlan([], { resource_changes: 1 }),
      /cannot be read: .*resource_changes/s,
    ],
    ['a plan that failed', createPlan([], { errored: true }), /could not finish/],
    [
      'an unknown action',
      createPlan([{ address: 'aws_vpc.a', actions: ['transmute'] }]),
      /wants to "transmute" aws_vpc\.a/,
    ],
  ])('%s', (_case, plan, message) => {
    expect(() => summarizePlan(plan)).toThrow(message);
  });

  test('accepts a newer minor version', () => {
    const plan = createPlan([], { format_version: '1.9', brand_new: true });
    expect(summarizePlan(plan).hasChanges).toBe(false);
  });
});
