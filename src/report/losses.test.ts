import { expect, test } from 'vitest';
import { summarizePlan } from '../terraform/plan.ts';
import { createPlan, type ResourceOverrides } from './fixtures/plan.ts';
import { createPlanReport, permit } from './fixtures/report.ts';
import { listLosses } from './losses.ts';
import { judge, renderPlanComment } from './plan-comment.ts';

const KEPT = { id: 'vol-1', final_snapshot: true };
const instance = (number: number): ResourceOverrides => ({
  address: `aws_instance.node["${number}"]`,
  actions: ['delete'],
  before: { id: 'i-1' },
});
const volume = (number: number, before: object = KEPT): ResourceOverrides => ({
  address: `aws_ebs_volume.data["${number}"]`,
  actions: ['delete'],
  before,
});
const find = (resources: ResourceOverrides[], labels: readonly string[] | null = []) =>
  listLosses({
    plan: summarizePlan(createPlan(resources)),
    slotLoss: null,
    backupLoss: null,
    permissions: permit(labels),
  });
const WAY = 'To allow it, add the label `allow-destroy`; the plan reruns by itself.';

test.each<[string, ResourceOverrides[], string]>([
  ['a node', [instance(3), volume(3)], 'deletes node-3 and its data (a snapshot is kept)'],
  [
    'two nodes',
    [instance(3), volume(3), instance(4), volume(4)],
    'deletes node-3, node-4 and their data (a snapshot is kept)',
  ],
  [
    'a node without a snapshot',
    [instance(3), volume(3, { id: 'vol-1' })],
    'deletes node-3 and its data (**without a last snapshot**, so the data is lost)',
  ],
  ['an instance', [instance(3)], 'deletes the instance of node-3'],
  [
    'a replaced instance',
    [{ ...instance(2), actions: ['delete', 'create'], replacePaths: [['id']], after: { id: 'i' } }],
    'replaces the instance of node-2 because of `id`',
  ],
  [
    'an attachment',
    [{ address: 'aws_volume_attachment.data["2"]', actions: ['delete'] }],
    'detaches the data volume of node-2',
  ],
  [
    'what is not of the cluster',
    [{ address: 'aws_db_instance.`x`', actions: ['delete'] }],
    'destroys <code>aws_db_instance.&#96;x&#96;</code>, which is not a resource of this cluster',
  ],
])('the loss of %s is said once, with the way to allow it', (_, resources, text) => {
  expect(find(resources)).toEqual({ blocked: [`**Blocked:** ${text}. ${WAY}`], allowed: [] });
});

test('an allowed loss names the label', () => {
  expect(find([instance(3), volume(3)], ['Allow-Destroy'])).toEqual({
    blocked: [],
    allowed: [
      '**Allowed** by the label `allow-destroy`: deletes node-3 and its data (a snapshot is kept).',
    ],
  });
});

test.each([
  ['a person', 'alice', '`alice`'],
  ['an app', 'github-actions[bot]', '`github-actions[bot]`'],
  ['a hostile name', '`@team` |<b>', '<code>&#96;&#64;team&#96; &#124;&#60;b&#62;</code>'],
])('an allowed loss names %s without a mention', (_, by, rendered) => {
  const { destroy, slotLoss } = permit(['allow-destroy', 'allow-slot-loss']);
  const permissions = { destroy: { ...destroy, by }, slotLoss: { ...slotLoss, by: null } };
  const plan = summarizePlan(createPlan([instance(3)]));
  expect(
    listLosses({ plan, slotLoss: 'The slot cdc is lost.', backupLoss: null, permissions }).allowed,
  ).toEqual([
    `**Allowed** by ${rendered} with the label \`allow-destroy\`: deletes the instance of node-3.`,
    '**Allowed** by the label `allow-slot-loss`: The slot cdc is lost.',
  ]);
});

test('a loss of backups needs the same label', () => {
  const backupLoss = 'backup.retention_days: 7 instead of 14 would be kept.';
  const report = { plan: summarizePlan(createPlan([])), slotLoss: null, backupLoss };
  expect(listLosses({ ...report, permissions: permit(['allow-slot-loss']) })).toEqual({
    blocked: [`**Blocked:** ${backupLoss} ${WAY}`],
    allowed: [],
  });
  expect(listLosses({ ...report, permissions: permit(['allow-destroy']) })).toEqual({
    blocked: [],
    allowed: [`**Allowed** by the label \`allow-destroy\`: ${backupLoss}`],
  });
});

test('without a pull request the way is to open one', () => {
  expect(find([instance(3)], null).blocked[0]).toContain('open a pull request with the label');
});

test('the stop sign is only where it is blocked', () => {
  const plan = createPlan([instance(3), volume(3)]);
  const blocked = renderPlanComment(createPlanReport(plan));
  const allowed = renderPlanComment(
    createPlanReport(plan, { permissions: permit(['allow-destroy']) }),
  );
  expect(blocked).toMatch(/^### 🛑 `postgres` blocked · removes node-3\n\n> \[!CAUTION\]/);
  expect(blocked.match(/Blocked/g)).toHaveLength(1);
  expect(allowed).toMatch(/^### ⚠️ `postgres` planned · removes node-3\n\n> \[!WARNING\]/);
  expect(allowed).not.toContain('🛑');
});

test('what no label allows is refused, and nothing else is asked for', () => {
  const report = createPlanReport(createPlan([instance(3)]), { refusals: ['vpc-cidr: fixed.'] });
  expect(judge(report)).toBe('refused');
  expect(renderPlanComment(report)).not.toContain('allow-destroy');
});
