import { expect, test } from 'vitest';
import { comparePlans, type PlanDocument } from './compare.ts';

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
const none = { defects: [], releases: [] };

test('equal plans have no differences', () => {
  const one = plan({ before: { type: 'a' }, after: { type: 'b' }, after_unknown: { ip: true } });
  expect(comparePlans({ real: one, lab: one }, none)).toEqual([]);
});

test('action, replaced paths and unknown values are compared', () => {
  const real = plan({
    actions: ['delete', 'create'],
    after_unknown: { ip: true, disk: [{ id: true }] },
    replace_paths: [['disk', 0, 'size']],
  });
  const lab = plan({ before: { disk: 1, ip: 2 }, after: { disk: 2, ip: 2 } });
  expect(comparePlans({ real, lab }, none)).toEqual([
    'aws_instance.node action: real delete,create, lab update',
    'aws_instance.node replace: only real: disk.0.size',
    'aws_instance.node unknown: only real: disk.0.id ip',
    'aws_instance.node changed: only lab: disk',
  ]);
});

test('a resource that only one plan has is a difference', () => {
  const real = plan({ actions: ['create'], after_unknown: { id: true } });
  expect(comparePlans({ real, lab: {} }, none)).toEqual([
    'aws_instance.node action: real create, lab no-op',
    'aws_instance.node unknown: only real: id',
  ]);
});

test('an attribute of one release of the schema is not compared', () => {
  const real = plan({ actions: ['create'], after_unknown: { id: true } });
  const lab = plan({ actions: ['create'], after: {}, after_unknown: { id: true, region: true } });
  expect(comparePlans({ real, lab }, none)).toEqual([]);
});

test('what moto forgot is no update, unless something else changes too', () => {
  const defects = [{ type: 'aws_instance', attribute: 'protected' }];
  const forgotten = plan({
    before: { protected: false, type: 'a' },
    after: { protected: true, type: 'a' },
  });
  expect(comparePlans({ real: forgotten, lab: {} }, { ...none, defects })).toEqual([]);
  const changed = plan({
    before: { protected: false, type: 'a' },
    after: { protected: true, type: 'b' },
  });
  expect(comparePlans({ real: changed, lab: {} }, { ...none, defects })).toEqual([
    'aws_instance.node action: real update, lab no-op',
    'aws_instance.node changed: only real: type',
  ]);
});
