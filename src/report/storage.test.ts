import { expect, test } from 'vitest';
import { summarizePlan } from '../terraform/plan.ts';
import { createPlan, type ResourceOverrides } from './fixtures/plan.ts';
import { createPlanReport } from './fixtures/report.ts';
import { renderPlanComment, renderPlanTitle } from './plan-comment.ts';
import { findRisks } from './risks.ts';
import { describeVolumeChanges } from './storage.ts';

const volume = (number: number, before: object, after: object): ResourceOverrides => ({
  address: `aws_ebs_volume.data["${number}"]`,
  actions: ['update'],
  before: { id: `vol-${number}`, ...before },
  after: { id: `vol-${number}`, ...after },
});
const root = (number: number, before: number, after: number): ResourceOverrides => ({
  address: `aws_instance.node["${number}"]`,
  actions: ['update'],
  before: { id: `i-${number}`, root_block_device: [{ volume_size: before }] },
  after: { id: `i-${number}`, root_block_device: [{ volume_size: after }] },
});

const SMALL = { size: 20, iops: 3000, throughput: 125 };
const LARGE = { size: 40, iops: 6000, throughput: 250 };
const GROWTH = createPlan([
  volume(1, SMALL, LARGE),
  volume(10, SMALL, LARGE),
  volume(2, { ...SMALL, size: 30 }, LARGE),
  root(1, 16, 20),
]);

test('changes of volumes are described with their nodes', () => {
  expect(describeVolumeChanges(summarizePlan(GROWTH))).toEqual([
    'data volumes: 20 GiB → 40 GiB on node-1, node-10 (no pause)',
    'data volumes: 30 GiB → 40 GiB on node-2 (no pause)',
    'data volumes: 3000 IOPS → 6000 IOPS on node-1, node-2, node-10 (no pause)',
    'data volumes: 125 MiB/s → 250 MiB/s on node-1, node-2, node-10 (no pause)',
    'root volumes: 16 GiB → 20 GiB on node-1 (no pause)',
  ]);
});

test('growth is in the comment, and is no risk', () => {
  const report = createPlanReport(GROWTH);
  const comment = renderPlanComment(report);
  expect(comment).toContain(
    '#### Storage\n\n- data volumes: 20 GiB → 40 GiB on node-1, node-10 (no',
  );
  expect(comment).not.toMatch(/\[!(CAUTION|WARNING)\]/);
  expect(findRisks(report.plan)).toEqual([]);
  expect(renderPlanTitle(report)).toBe('planned · changes the storage of 3 nodes');
  expect(comment.indexOf('#### Storage')).toBeLessThan(comment.indexOf('>Infrastructure: '));
});

test('a shrink and a plan without changes of volumes have no line', () => {
  const shrink = summarizePlan(createPlan([volume(1, LARGE, { ...LARGE, size: 20 })]));
  expect(describeVolumeChanges(shrink)).toEqual([]);
  expect(
    renderPlanComment(createPlanReport(createPlan([volume(1, {}, { tags: { a: 'b' } })]))),
  ).not.toContain('#### Storage');
});
