import { expect, test } from 'vitest';
import { RUN } from './fixtures/report.ts';
import { type RemovalReport, renderRemovalSummary } from './removal.ts';

const REPORT: RemovalReport = {
  cluster: 'orders',
  region: 'us-east-1',
  nodes: ['node-1', 'node-2'],
  resources: 28,
  volumes: [
    { node: 'node-1', kind: 'data', id: 'vol-0123456789abcdef0' },
    { node: 'node-2', kind: 'data', id: 'vol-0123456789abcdef1' },
  ],
  warnings: [],
  progress: { state: 'done' },
  run: RUN,
};

test('a removal says what is gone, which snapshots are kept, and what comes next', async () => {
  await expect(renderRemovalSummary(REPORT)).toMatchFileSnapshot('golden/removal-done.md');
});

test('a removal of nothing says so', async () => {
  const nothing = { ...REPORT, nodes: [], resources: 0, volumes: [] };
  await expect(
    renderRemovalSummary({ ...nothing, progress: { state: 'nothing' } }),
  ).toMatchFileSnapshot('golden/removal-nothing.md');
});

test('a failed removal has the error, the warnings and the next step', async () => {
  const text = renderRemovalSummary({
    ...REPORT,
    warnings: ['node-2 could not be looked at. <b>@team</b>'],
    progress: {
      state: 'failed',
      error: 'waiting for EBS Snapshot\n``` @team',
      nextStep: 'Run this again: it continues with what is left.',
    },
  });
  await expect(text).toMatchFileSnapshot('golden/removal-failed.md');
});
