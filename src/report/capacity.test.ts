import { describe, expect, test } from 'vitest';
import type { KeptDirectory } from '../cluster/observation.ts';
import { createFileSystem } from '../cluster/testing/fixtures.ts';
import { byteLength } from './budget.ts';
import { formatUse, type NodeStorage, renderUseBars, usedPercent } from './capacity.ts';
import { createPlan } from './fixtures/plan.ts';
import { createPlanReport } from './fixtures/report.ts';
import { renderStorage } from './storage.ts';

const GIB = 1024 ** 3;
const use = (used: number, capacity: number) => ({
  usedBytes: used * GIB,
  capacityBytes: capacity * GIB,
});

/** A node whose data volume of 20 GiB has `used` GiB in use. */
function createNode(
  number: number,
  used: number,
  kept: readonly KeptDirectory[] = [],
): NodeStorage {
  const data = { ...createFileSystem(20), ...use(used, 20) };
  return { name: `node-${number}`, storage: { data, root: null, kept } };
}

const createKept = (formerPrimary: boolean): KeptDirectory => ({
  name: 'data.old-20261126T101500Z',
  bytes: 3 * GIB,
  formerPrimary,
});

const { plan: unchanged } = createPlanReport(createPlan([]));
const { plan: grown } = createPlanReport(
  createPlan([
    {
      address: 'aws_ebs_volume.data["2"]',
      actions: ['update'],
      before: { size: 20 },
      after: { size: 40 },
    },
  ]),
);

const render = (nodes: readonly NodeStorage[], plan = unchanged, room = 10_000) =>
  renderStorage(
    { plan, capacity: { nodes, alertPercent: 80 } },
    { shrinkOrder: 4, whole: 'The summary has all.' },
  ).render(room);

test.each([
  [use(12.5, 20), '12.5 of 20.0 GiB (62 %)'],
  [use(0.25, 20), '256.0 MiB of 20.0 GiB (1 %)'],
  [use(0, 0), '0 of 0 B (0 %)'],
])('the use of %o', (space, expected) => {
  expect(formatUse(space)).toBe(expected);
});

test('a threshold is not shown before it is reached', () => {
  expect(usedPercent({ usedBytes: 799, capacityBytes: 1000 })).toBe(79);
  expect(usedPercent({ usedBytes: 800, capacityBytes: 1000 })).toBe(80);
});

describe('the comment', () => {
  test('says nothing while there is room and nothing was kept', () => {
    expect(render([createNode(1, 15.9), createNode(2, 1)])).toBe('');
  });

  test('names nodes above the threshold', () => {
    const text = render([createNode(1, 16), createNode(2, 1)]);
    expect(text).toContain('| `node-1` | 16.0 of 20.0 GiB (80 %) ⚠️ |');
    expect(text).not.toContain('node-2');
  });

  test('names nodes whose volume the plan changes', () => {
    const text = render([createNode(1, 1), createNode(2, 1)], grown);
    expect(text).toContain('| `node-2` | 1.0 of 20.0 GiB (5 %) |');
    expect(text).not.toContain('node-1');
  });

  test.each([
    [true, /\*\*Data of a former primary may hold rows that no other node has:\*\*/],
    [false, /Nothing marks it as data of a former primary\./],
  ])(
    'names kept directories and the command that deletes them (former primary: %s)',
    (former, expected) => {
      const text = render([createNode(1, 1), createNode(2, 1, [createKept(former)])]);
      expect(text).toContain('`node-2` keeps `data.old-20261126T101500Z` (3.0 GiB).');
      expect(text).toMatch(expected);
      expect(text).toContain('`command: discard` with `discard: node-2` deletes it.');
    },
  );

  test('fits', () => {
    const nodes = Array.from({ length: 16 }, (_, index) =>
      createNode(
        index + 1,
        19,
        Array.from({ length: 100 }, () => createKept(true)),
      ),
    );
    const text = render(nodes, unchanged, 1_000);
    expect(byteLength(text)).toBeLessThanOrEqual(1_000);
    expect(text).toMatch(/✂️ Left out to fit: \d+ lines\. The summary has all\./);
    expect(render(nodes)).toContain('and 95 more, 300.0 GiB in all.');
  });
});

test('a bar per volume, after the numbers', () => {
  const bars = renderUseBars([
    { name: 'node-1', space: use(12.5, 20) },
    { name: 'node-2', space: use(20, 20) },
    { name: 'node-3', space: null },
  ]);
  expect(bars).toContain('| `node-1` | 12.5 of 20.0 GiB (62 %) | `██████░░░░` |');
  expect(bars).toContain('| `node-2` | 20.0 of 20.0 GiB (100 %) | `██████████` |');
  expect(bars).not.toContain('node-3');
  expect(renderUseBars([{ name: 'node-1', space: null }])).toBe('');
});
