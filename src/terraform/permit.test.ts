import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { createPlan, type ResourceOverrides } from '../report/fixtures/plan.ts';
import { type ApplyScope, explainApplyRefusal, permit } from './permit.ts';
import { type PlanSummary, summarizePlan } from './plan.ts';

const plan = (...resources: ResourceOverrides[]): PlanSummary =>
  summarizePlan(createPlan(resources));
const instance = (number: number) => `aws_instance.node["${number}"]`;
const attachment = (number: number) => `aws_volume_attachment.data["${number}"]`;
const volume = (number: number) => `aws_ebs_volume.data["${number}"]`;
const record = (number: number) => `aws_route53_record.node["${number}"]`;
const before = { id: 'old' };
const destroy = (address: string): ResourceOverrides => ({ address, actions: ['delete'], before });
const replace = (address: string, reason = 'replace_because_cannot_update'): ResourceOverrides => ({
  address,
  actions: ['delete', 'create'],
  before,
  unknown: { id: true },
  reason,
});
const taint = (address: string) => replace(address, 'replace_because_tainted');
const create = (address: string): ResourceOverrides => ({ address, actions: ['create'] });
const update = (address: string): ResourceOverrides => ({
  address,
  actions: ['update'],
  before: { ...before, size: 1 },
  after: { ...before, size: 2 },
});

const LABEL = 'allow-destroy';
const ALONE: ApplyScope = { kind: 'plan', label: LABEL, labels: null };
const grant = (summary: PlanSummary, ground: ApplyScope) =>
  permit({ planFile: 'x', summary }, ground);

describe('a whole plan', () => {
  test.each<[string, ResourceOverrides[]]>([
    ['nothing', []],
    ['a first apply', [create(instance(1)), create(volume(1)), create(attachment(1))]],
    ['changes in place', [update(instance(1)), update(volume(1))]],
    ['another network', [replace('aws_vpc.own[0]'), replace('aws_subnet.own["us-east-1a"]')]],
    ['another key', [replace('aws_key_pair.nodes'), replace('aws_security_group.nodes')]],
    ['a removed endpoint', [destroy('aws_ec2_instance_connect_endpoint.own[0]')]],
    ['other names', [replace('aws_route53_record.node["1"]')]],
    ['removed rules', [destroy('aws_vpc_security_group_ingress_rule.ssh["10.0.0.0/8"]')]],
    ['an instance that was terminated', [create(instance(2)), replace(attachment(2))]],
  ])('of %s needs no label', (_, resources) => {
    const summary = plan(...resources);
    expect(explainApplyRefusal(summary, ALONE)).toEqual([]);
    expect(grant(summary, ALONE)).toMatchObject({ planFile: 'x', summary });
  });

  test.each<[string, ResourceOverrides[], RegExp[]]>([
    [
      'another VPC',
      [replace(instance(2)), replace(attachment(2)), replace(instance(1)), replace(attachment(1))],
      [
        /^node-1: aws_instance\.node\["1"\] would be replaced\.$/,
        /^node-2: .* be replaced\. A node/,
      ],
    ],
    [
      'a tainted volume',
      [taint(volume(1))],
      [/^node-1: aws_ebs_volume\.data\["1"\] would be repl/],
    ],
    ['a tainted instance', [taint(instance(1))], [/^node-1: aws_instance/]],
    ['a tainted attachment', [taint(attachment(1))], [/^node-1: aws_volume_attachment/]],
    [
      'a node that leaves',
      [destroy(instance(10)), destroy(volume(10)), destroy(attachment(10))],
      [
        /^node-10: aws_ebs_volume\S+ would be destroyed, aws_instance\S+ would be destroyed\. A node/,
      ],
    ],
    ['a volume of a removed node', [destroy(volume(3))], [/^node-3: aws_ebs_volume/]],
    [
      'what is of a module, whatever its name',
      [destroy('module.old.aws_ebs_volume.data["1"]'), destroy('module.old.aws_vpc.own[0]')],
      [/^module\.old\.aws_ebs_volume\S+ would be .* not a resource/, /^module\.old\.aws_vpc/],
    ],
    [
      'a resource that is not the cluster’s',
      [destroy('aws_db_instance.orders'), replace('aws_ebs_volume.other')],
      [
        /^aws_db_instance\.orders would be destroyed, and it is not a resource of this cluster\.$/,
        /^aws_ebs_volume\.other would be replaced, and it is not/,
      ],
    ],
  ])('with %s needs a label', (_, resources, sentences) => {
    const summary = plan(...resources);
    const problems = explainApplyRefusal(summary, ALONE);
    expect(problems).toEqual(sentences.map((one) => expect.stringMatching(one)));
    expect(() => grant(summary, ALONE)).toThrow(new UserError(problems));
    const labelled: ApplyScope = { ...ALONE, labels: ['Allow-Destroy'] };
    expect(explainApplyRefusal(summary, labelled)).toEqual([]);
    expect(grant(summary, labelled).summary).toBe(summary);
  });

  test('with deposed data requires a label', () => {
    const document = createPlan([destroy(volume(1)), destroy('aws_db_instance.orders')]);
    const resource_changes = (document.resource_changes as object[]).map((entry) => ({
      ...entry,
      deposed: '00000001',
    }));
    expect(explainApplyRefusal(summarizePlan({ ...document, resource_changes }), ALONE)).toEqual([
      'node-1: aws_ebs_volume.data["1"] (old, left over) would be destroyed.',
      expect.stringMatching(/^aws_db_instance\.orders \(old, left over\) would be destroyed, and/),
    ]);
    const key = createPlan([destroy('aws_key_pair.nodes')]);
    const [entry] = key.resource_changes as object[];
    const rotated = { ...key, resource_changes: [{ ...entry, deposed: '00000001' }] };
    expect(explainApplyRefusal(summarizePlan(rotated), ALONE)).toEqual([]);
  });

  test.each<[string | null, readonly string[] | null, RegExp]>([
    [LABEL, null, /To allow it, open a pull request and label it allow-destroy\.$/],
    [LABEL, ['other'], /label the pull request allow-destroy and run this again\.$/],
    [null, [LABEL], /name a label in allow-destroy-label\.$/],
  ])('explains how to allow it: label %j, labels %j', (label, labels, wayOut) => {
    expect(explainApplyRefusal(plan(destroy(volume(1))), { kind: 'plan', label, labels })).toEqual([
      expect.stringMatching(wayOut),
    ]);
  });

  test('may replace only unfinished objects of an interrupted apply without a label', () => {
    const rest = plan(taint(instance(1)), taint(volume(2)), replace(volume(3)));
    expect(explainApplyRefusal(rest, { ...ALONE, partly: true })).toEqual([
      expect.stringMatching(/^node-3: /),
    ]);
    expect(explainApplyRefusal(rest, ALONE)).toHaveLength(3);
  });
});

describe('a stage', () => {
  const whole = grant(plan(update(instance(1)), destroy(volume(3)), destroy(instance(3))), {
    ...ALONE,
    labels: [LABEL],
  });

  test.each<[string, ResourceOverrides[]]>([
    ['nothing of it', []],
    ['a reviewed change', [update(instance(1))]],
    ['a reviewed removal', [destroy(volume(3)), destroy(instance(3))]],
  ])('with %s is permitted', (_, resources) => {
    expect(explainApplyRefusal(plan(...resources), { kind: 'stage', whole })).toEqual([]);
  });

  test('starts only the given nodes, and removes starters from the state', () => {
    const starter = (number: number) => `aws_ec2_instance_state.started["${number}"]`;
    const ground: ApplyScope = { kind: 'stage', whole, starts: ['node-2'] };
    expect(explainApplyRefusal(plan(create(starter(2))), ground)).toEqual([]);
    expect(explainApplyRefusal(plan(destroy(starter(3))), { kind: 'stage', whole })).toEqual([]);
    expect(explainApplyRefusal(plan(create(starter(3))), ground)).toEqual([
      expect.stringMatching(/started\["3"\]: would be created/),
    ]);
    expect(explainApplyRefusal(plan(update(starter(2))), ground)).toHaveLength(1);
    expect(explainApplyRefusal(plan(create(starter(2))), { kind: 'stage', whole })).toHaveLength(1);
  });

  test.each<[string, ResourceOverrides]>([
    ['the removal of another volume', destroy(volume(2))],
    ['a replacement instead of a change', replace(instance(1))],
    ['a tainted volume', taint(volume(1))],
  ])('with %s is refused', (_, resource) => {
    expect(explainApplyRefusal(plan(resource), { kind: 'stage', whole })).toEqual([
      expect.stringContaining(`${resource.address}: would be `),
    ]);
  });
});

test('blank volumes may be removed, and nothing else', () => {
  const ground: ApplyScope = { kind: 'blank', nodes: ['node-3'] };
  expect(explainApplyRefusal(plan(destroy(volume(3))), ground)).toEqual([]);
  for (const resource of [destroy(volume(1)), replace(volume(3)), destroy(instance(3))]) {
    expect(explainApplyRefusal(plan(resource), ground)).toEqual([
      expect.stringMatching(/would be .*, but only blank volumes are to be removed\.$/),
    ]);
  }
});

describe('the replacement of an instance', () => {
  const ground: ApplyScope = { kind: 'replacement', node: 'node-3' };

  test.each<[string, ResourceOverrides[]]>([
    ['a replacement', [replace(instance(3)), replace(attachment(3))]],
    ['a node that was terminated', [create(instance(3)), create(attachment(3))]],
    ['the new address of its name', [replace(instance(3)), update(record(3))]],
  ])('permits %s', (_, resources) => {
    expect(explainApplyRefusal(plan(...resources), ground)).toEqual([]);
  });

  test('may replace the data volume only on request', () => {
    const asked: ApplyScope = { ...ground, volume: true };
    const resources = [replace(instance(3)), replace(attachment(3)), replace(volume(3))];
    expect(explainApplyRefusal(plan(...resources), asked)).toEqual([]);
    expect(explainApplyRefusal(plan(...resources), ground)).toHaveLength(1);
    expect(explainApplyRefusal(plan(replace(volume(1))), asked)).toHaveLength(1);
    expect(explainApplyRefusal(plan(destroy(volume(3))), asked)).toHaveLength(1);
  });

  test.each<[string, ResourceOverrides]>([
    ['another node', replace(instance(1))],
    ['its data', replace(volume(3))],
    ['its removal', destroy(instance(3))],
    ['the name of another node', update(record(1))],
    ['the removal of its name', destroy(record(3))],
    ['a node with the same prefix', replace(instance(33))],
    ['a resource that is not the cluster’s', destroy('aws_db_instance.orders')],
  ])('refuses %s', (_, resource) => {
    expect(explainApplyRefusal(plan(resource), ground)).toEqual([
      expect.stringContaining(`${resource.address}: would be `),
    ]);
  });
});

test('every resource of the templates is classified: what must not go without the label, and the rest', () => {
  const templates = join(import.meta.dirname, '../../templates/aws');
  const text = readdirSync(templates).map((file) => readFileSync(join(templates, file), 'utf8'));
  const kinds = [...text.join('\n').matchAll(/^resource "(\w+)" "(\w+)"/gm)];
  const guarded = kinds
    .map(([, type, name]) => `${type}.${name}`)
    .filter((kind) => explainApplyRefusal(plan(destroy(`${kind}["1"]`)), ALONE).length > 0);
  expect(kinds.length).toBeGreaterThan(10);
  expect(guarded.sort()).toEqual([
    'aws_dlm_lifecycle_policy.snapshots',
    'aws_ebs_volume.data',
    'aws_instance.node',
    'aws_volume_attachment.data',
  ]);
});

describe('the removal of a cluster', () => {
  const scope: ApplyScope = {
    kind: 'removal',
    cluster: { name: 'orders', region: 'us-east-1' },
    isRehearsal: false,
  };
  const own = { id: 'x', region: 'us-east-1', tags_all: { Cluster: 'orders' } };
  const remove = (address: string, values: object = {}): ResourceOverrides => ({
    address,
    actions: ['delete'],
    before: { ...own, ...values },
  });
  const kept = remove(volume(1), { final_snapshot: true });
  const explain = (...resources: ResourceOverrides[]) =>
    explainApplyRefusal(plan(...resources), scope);

  test('destroys nodes, volumes and the network, without a label', () => {
    const all = [remove(instance(1)), kept, remove(attachment(1)), remove('aws_vpc.own[0]')];
    expect(explain(...all)).toEqual([]);
    expect(explain()).toEqual([]);
    // Rules and routes have no tag.
    expect(explain(remove('aws_route.internet[0]', { tags_all: undefined }))).toEqual([]);
  });

  test.each<[string, ResourceOverrides, RegExp]>([
    ['a volume without a last snapshot', remove(volume(2)), /data\["2"\]: its data would be gone/],
    [
      'a volume that leaves no snapshot',
      remove(volume(2), { final_snapshot: false }),
      /Deploy first, which corrects that/,
    ],
    [
      "another cluster's resource",
      remove(instance(1), { tags_all: { Cluster: 'billing' } }),
      /its tag Cluster is "billing" and not orders/,
    ],
    [
      'a resource of another region',
      remove(instance(1), { region: 'eu-west-1' }),
      /its region is "eu-west-1" and not us-east-1/,
    ],
    [
      'what the templates do not have',
      remove('aws_db_instance.x'),
      /not a resource of this cluster/,
    ],
    [
      'what is a rehearsal’s',
      remove(instance(1), { tags_all: { Cluster: 'orders', RehearsalOf: 'billing' } }),
      /it belongs to a rehearsal of "billing" by its tag RehearsalOf/,
    ],
    ['what is in a module', remove(`module.x.${instance(1)}`), /not a resource of this cluster/],
    [
      'anything but a removal',
      create(instance(1)),
      /would be created, but everything is to be destroyed/,
    ],
  ])('does not destroy %s', (_, resource, reason) => {
    expect(explain(kept, resource)).toEqual([expect.stringMatching(reason)]);
    expect(() => grant(plan(kept, resource), scope)).toThrow(reason);
  });

  describe('that is a rehearsal', () => {
    const rehearsal: ApplyScope = {
      ...{ kind: 'removal', isRehearsal: true },
      cluster: { name: 'orders-rehearsal', region: 'us-east-1' },
    };
    const tags = { Cluster: 'orders-rehearsal', RehearsalOf: 'orders' };
    const pass = (address: string, values: object = {}) =>
      remove(address, { tags_all: tags, ...values });
    const passing = pass(volume(1), { final_snapshot: false });

    test('destroys the one node that bears its tag and leaves no snapshot', () => {
      const all = [pass(instance(1)), passing, pass('aws_vpc.own[0]')];
      expect(explainApplyRefusal(plan(...all), rehearsal)).toEqual([]);
      expect(explainApplyRefusal(plan(), rehearsal)).toEqual([]);
    });

    test.each<[string, ResourceOverrides, RegExp]>([
      [
        "a cluster's volume",
        pass(volume(1), { final_snapshot: true }),
        /data\["1"\]: it is not a rehearsal's, so it is not destroyed: it leaves a last snapshot, or does not say\./,
      ],
      ['a volume that says nothing', pass(volume(1)), /it leaves a last snapshot, or does not say/],
      [
        'a volume without the tag, as after an import',
        pass(volume(1), { final_snapshot: false, tags_all: { Cluster: 'orders-rehearsal' } }),
        /: it has no tag RehearsalOf, where a rehearsal has orders\. /,
      ],
      [
        'a volume without tags',
        pass(volume(1), { final_snapshot: false, tags_all: undefined }),
        /: it has no tag RehearsalOf, where/,
      ],
      [
        'an instance without the tag',
        pass(instance(1), { tags_all: { Cluster: 'orders-rehearsal' } }),
        /node\["1"\]: it is not .* it has no tag RehearsalOf/,
      ],
      [
        'the rehearsal of another cluster',
        pass(instance(1), { tags_all: { ...tags, RehearsalOf: 'billing' } }),
        /it has the value "billing" as tag RehearsalOf, where a rehearsal has orders/,
      ],
      ['a second instance', pass(instance(2)), /it is not of node-1, the only node of a rehearsal/],
      [
        'a second volume',
        pass(volume(2), { final_snapshot: false }),
        /it is not of node-1, the only node/,
      ],
      [
        "another cluster's resource",
        pass(volume(1), { final_snapshot: false, tags_all: { ...tags, Cluster: 'billing' } }),
        /its tag Cluster is "billing" and not orders-rehearsal/,
      ],
      ['what the templates do not have', pass('aws_db_instance.x'), /not a resource of this/],
    ])('does not destroy %s', (_, resource, reason) => {
      expect(explainApplyRefusal(plan(resource), rehearsal)).toEqual([
        expect.stringMatching(reason),
      ]);
    });

    test('is not destroyed under a name that no rehearsal has', () => {
      const other: ApplyScope = { ...scope, isRehearsal: true };
      const bare = remove(instance(1), { tags_all: { Cluster: 'orders', RehearsalOf: 'orders' } });
      expect(explainApplyRefusal(plan(bare), other)).toHaveLength(1);
    });
  });
});
