import { expect, test } from 'vitest';
import { RUN } from './fixtures/report.ts';
import { findIgnoredRestore, renderIgnoredRestore } from './ignored-restore.ts';

test('a restore is ignored where a node holds complete data', () => {
  const look = (...data: ('absent' | 'partial' | 'unrecorded' | 'complete')[]) =>
    findIgnoredRestore(data.map((one, index) => ({ name: `node-${index + 1}`, data: one })));
  expect(look('absent', 'partial', 'unrecorded')).toBeNull();
  expect(look()).toBeNull();
  expect(look('absent', 'complete', 'complete')).toEqual({ holders: ['node-2', 'node-3'] });
});

test('one sentence names the nodes, and another the next step', () => {
  expect(renderIgnoredRestore({ holders: ['node-1'] }, { ...RUN, docs: null })).toBe(
    '**`restore` has no effect:** `node-1` holds data, and nothing is restored over data. Restore into a new cluster, or, if the present data is not wanted any more, remove this one first (`command: destroy`).',
  );
  expect(renderIgnoredRestore({ holders: [] }, RUN)).toMatch(
    /nodes were not looked at\. .* \[How to restore\]\(https:.*back-up-and-restore\.md#restore\)$/,
  );
});
