import { describe, expect, test } from 'vitest';
import { createPlan, type ResourceOverrides } from '../report/fixtures/plan.ts';
import { summarizePlan } from './plan.ts';
import {
  findDifferences,
  hasChangesToReview,
  type PlanChanges,
  selectChanges,
} from './plan-differences.ts';

const select = (...resources: ResourceOverrides[]): PlanChanges =>
  selectChanges(summarizePlan(createPlan(resources)));

function withRequest(changes: PlanChanges, before: unknown, after: unknown): PlanChanges {
  const document = createPlan([], {
    output_changes: {
      database: { actions: ['update'], before, after, after_unknown: false },
    },
  });
  return { ...changes, outputs: summarizePlan(document).outputs };
}

const resize = (to: string): ResourceOverrides => ({
  address: 'aws_instance.node["2"]',
  actions: ['update'],
  before: { id: 'i-2', instance_type: 't3.medium', public_ip: '203.0.113.2' },
  after: { id: 'i-2', instance_type: to },
  unknown: { public_ip: true },
});
const create = (number: number, after: object = {}): ResourceOverrides => ({
  address: `aws_ebs_volume.data["${number}"]`,
  actions: ['create'],
  after: { size: 20, ...after },
  unknown: { id: true },
});
const whole = { partly: false };
const partly = { partly: true };

describe('findDifferences', () => {
  test('are empty for plans with the same changes', () => {
    const plan = select(resize('t3.large'), create(4));
    expect(findDifferences(plan, plan, whole)).toEqual([]);
    const reordered = select(create(4), resize('t3.large'));
    expect(findDifferences(reordered, plan, whole)).toEqual([]);
  });

  test.each([
    [
      'more than was reviewed',
      select(resize('t3.large'), create(4)),
      select(resize('t3.large')),
      ['aws_ebs_volume.data["4"]: would be created; in the review it was to stay as it is.'],
    ],
    [
      'less than was reviewed',
      select(resize('t3.large')),
      select(resize('t3.large'), create(4)),
      ['aws_ebs_volume.data["4"]: would no longer be created.'],
    ],
    [
      'another value',
      select(resize('t3.xlarge')),
      select(resize('t3.large')),
      [
        'aws_instance.node["2"]: instance_type would change "t3.medium" → "t3.xlarge"; the review said "t3.medium" → "t3.large".',
      ],
    ],
    [
      'an attribute that is as wanted by now',
      select({
        ...resize('t3.large'),
        unknown: {},
        after: { id: 'i-2', instance_type: 't3.large', public_ip: '203.0.113.2' },
      }),
      select(resize('t3.large')),
      ['aws_instance.node["2"]: public_ip would no longer become (known after apply).'],
    ],
    [
      'a replacement instead of an update',
      select({ ...resize('t3.large'), actions: ['delete', 'create'] }),
      select(resize('t3.large')),
      ['aws_instance.node["2"]: would be replaced; in the review it was to be changed.'],
    ],
  ])('%s', (_, now, reviewed, expected) => {
    expect(findDifferences(now, reviewed, whole)).toEqual(expected);
  });

  test('the rest of a plan after an interrupted apply is not a difference', () => {
    const reviewed = select(resize('t3.large'), create(4), create(5));
    expect(findDifferences(select(create(5)), reviewed, partly)).toEqual([]);
    expect(findDifferences(select(create(6)), reviewed, partly)).toHaveLength(1);
  });

  test('an unfinished object is created again, and no other one is replaced', () => {
    const tainted = (reason?: string): ResourceOverrides => ({
      ...create(4),
      actions: ['delete', 'create'],
      before: { id: 'vol-4', size: 20 },
      ...(reason === undefined ? {} : { reason }),
    });
    const reviewed = select(create(4));
    const left = select(tainted('replace_because_tainted'));
    expect(findDifferences(left, reviewed, partly)).toEqual([]);
    expect(findDifferences(left, reviewed, whole)).toHaveLength(1);
    expect(findDifferences(select(tainted()), reviewed, partly)).toHaveLength(1);
  });

  test('an interrupted replacement continues with the reviewed object', () => {
    const replaced = (type: string): ResourceOverrides => ({
      ...resize(type),
      actions: ['delete', 'create'],
      replacePaths: [['instance_type']],
    });
    const made = (type: string): ResourceOverrides => ({
      ...resize(type),
      actions: ['create'],
      before: null,
    });
    const reviewed = select(replaced('t3.large'));
    expect(findDifferences(select(made('t3.large')), reviewed, partly)).toEqual([]);
    expect(findDifferences(select(made('m5.24xlarge')), reviewed, partly)).toHaveLength(1);
    expect(findDifferences(select(made('t3.large')), reviewed, whole)).not.toEqual([]);
  });

  test('requested settings are compared, also after an interrupted apply', () => {
    const none = select();
    const reviewed = withRequest(
      none,
      { settings: { work_mem: '4MB' } },
      { settings: { work_mem: '8MB' } },
    );
    const other = withRequest(
      none,
      { settings: { work_mem: '4MB' } },
      { settings: { work_mem: '1GB' } },
    );
    const expected = [
      'output: database.settings.work_mem would change "4MB" → "1GB"; the review said "4MB" → "8MB".',
    ];
    expect(findDifferences(other, reviewed, whole)).toEqual(expected);
    expect(findDifferences(other, reviewed, partly)).toEqual(expected);
    expect(findDifferences(none, reviewed, whole)).toHaveLength(1);
    expect(findDifferences(none, reviewed, partly)).toEqual([]);
  });

  test('a changed address is not reviewed', () => {
    const plan = summarizePlan(
      createPlan([], {
        output_changes: {
          nodes: {
            actions: ['update'],
            before: [{ public_address: '203.0.113.2' }],
            after: [{ public_address: '203.0.113.9' }],
            after_unknown: false,
          },
        },
      }),
    );
    expect(plan.hasChanges).toBe(true);
    expect(hasChangesToReview(plan)).toBe(false);
    expect(findDifferences(plan, select(), whole)).toEqual([]);
  });
});
