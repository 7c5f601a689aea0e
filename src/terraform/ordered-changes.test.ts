import { expect, test } from 'vitest';
import { createPlan, type ResourceOverrides } from '../report/fixtures/plan.ts';
import { hasChangesBeforeOrder } from './ordered-changes.ts';
import { summarizePlan } from './plan.ts';

const gone = (address: string): ResourceOverrides => ({
  address,
  actions: ['delete'],
  before: { id: address },
});
const NODE = [
  'aws_instance.node["3"]',
  'aws_ebs_volume.data["3"]',
  'aws_volume_attachment.data["3"]',
];
const RECORD = 'aws_route53_record.node["3"]';
const changed = { actions: ['update'], before: { a: 1, b: 2 }, after: { a: 1 } };
const hasBefore = (resources: readonly ResourceOverrides[], outputs: readonly string[]) =>
  hasChangesBeforeOrder(
    summarizePlan(
      createPlan(resources, {
        output_changes: Object.fromEntries(outputs.map((name) => [name, changed])),
      }),
    ),
  );

test('a node leaves with its DNS record', () => {
  expect(hasBefore(NODE.map(gone), ['nodes'])).toBe(false);
  expect(hasBefore([...NODE, RECORD].map(gone), ['nodes', 'dns_names'])).toBe(false);
});

test('other changes come first', () => {
  expect(hasBefore([...NODE, 'aws_route.internet["0"]'].map(gone), ['nodes'])).toBe(true);
  expect(hasBefore(NODE.map(gone), ['nodes', 'database'])).toBe(true);
  const readdressed = { address: 'aws_route53_record.node["1"]', ...changed };
  expect(hasBefore([...NODE.map(gone), readdressed], ['nodes'])).toBe(true);
});
