import { expect, test } from 'vitest';
import { comparePlans, type Explained, listActions, type PlanDocument } from './compare.ts';

type Change = NonNullable<PlanDocument['resource_changes']>[number]['change'];

const plan = (change: Partial<Change>): PlanDocument => ({
  resource_changes: [
    {
      address: 'aws_instance.node',
      mode: 'managed',
      type: 'aws_instance',
      change: { actions: ['update'], before: null, after: null, ...change },
    },
  ],
});
const explain = (cause: Explained['cause'], attribute: string): Explained => ({
  type: 'aws_instance',
  attribute,
  cause,
  reason: 'known',
});

test('equal plans have no differences', () => {
  const one = plan({ before: { type: 'a' }, after: { type: 'b' }, after_unknown: { ip: true } });
  expect(comparePlans({ real: one, lab: one }, [])).toEqual([]);
});

test('action, replaced paths and unknown values are compared', () => {
  const real = plan({
    actions: ['delete', 'create'],
    after_unknown: { ip: true, disk: [{ id: true }] },
    replace_paths: [['disk', 0, 'size']],
  });
  const lab = plan({ before: { disk: 1, ip: 2 }, after: { disk: 2, ip: 2 } });
  expect(comparePlans({ real, lab }, [])).toEqual([
    'aws_instance.node action: real delete,create, lab update',
    'aws_instance.node replace: only real: disk.0.size',
    'aws_instance.node unknown: only real: disk.0.id ip',
    'aws_instance.node changed: only lab: disk',
  ]);
});

test('a resource that only one plan has is a difference', () => {
  const real = plan({ actions: ['create'], after_unknown: { id: true } });
  expect(comparePlans({ real, lab: {} }, [])).toEqual([
    'aws_instance.node action: real create, lab no-op',
    'aws_instance.node unknown: only real: id',
  ]);
});

test('an attribute of one release of the schema is not compared', () => {
  const real = plan({ actions: ['create'], after_unknown: { id: true } });
  const lab = plan({ actions: ['create'], after: {}, after_unknown: { id: true, region: true } });
  expect(comparePlans({ real, lab }, [])).toEqual([]);
});

test('what moto forgot is no update, unless something else changes too', () => {
  const explained = [explain('moto', 'protected')];
  const forgotten = plan({
    before: { protected: false, type: 'a' },
    after: { protected: true, type: 'a' },
  });
  expect(comparePlans({ real: forgotten, lab: {} }, explained)).toEqual([]);
  const changed = plan({
    before: { protected: false, type: 'a' },
    after: { protected: true, type: 'b' },
  });
  expect(comparePlans({ real: changed, lab: {} }, explained)).toEqual([
    'aws_instance.node action: real update, lab no-op',
    'aws_instance.node changed: only real: type',
  ]);
});

test('the values of a creation are compared where both plans know them', () => {
  const disk = (size: number) => ({ disk: [{ size }], image: 'ami-0a1b2c3d4e', zone: null });
  const real = plan({ actions: ['create'], after: { ...disk(8), type: 'a', ip: '10.0.0.1' } });
  const lab = plan({
    actions: ['create'],
    after: { ...disk(9), type: 'b', image: 'ami-1f2e3d4c5b' },
    after_unknown: { ip: true },
  });
  expect(comparePlans({ real, lab }, [explain('release', 'type')])).toEqual([
    'aws_instance.node unknown: only lab: ip',
    'aws_instance.node disk.0.size: real 8, lab 9',
  ]);
});

test('the changed values of an update are compared, the others are not', () => {
  const side = (id: string, type: string, group: string) => {
    const disk = (size: number) => [{ size, rate: type }];
    return plan({
      before: { id, type: 'a', key: id, disk: disk(8) },
      after: { id, type, key: id, disk: disk(9), group },
    });
  };
  const real = side('i-0a1b2c3d4e', 'b', 'sg-0a1b2c3d4e');
  const lab = side('i-1f2e3d4c5b', 'c', 'i-1f2e3d4c5b');
  expect(comparePlans({ real, lab }, [])).toEqual([
    'aws_instance.node group: real "sg", lab "aws_instance.node"',
    'aws_instance.node type: real "b", lab "c"',
  ]);
});

test('what a plan does is listed without what stays', () => {
  expect(listActions(plan({ actions: ['delete', 'create'] }))).toEqual([
    'delete,create aws_instance.node',
  ]);
  expect(listActions(plan({ actions: ['no-op'] }))).toEqual([]);
});
