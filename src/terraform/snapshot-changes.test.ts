import { expect, test } from 'vitest';
import { createPlan } from '../report/fixtures/plan.ts';
import { renderSnapshotChange } from '../report/snapshots.ts';
import { explainApplyRefusal } from './permit.ts';
import { summarizePlan } from './plan.ts';
import { explainSnapshotLoss } from './snapshot-changes.ts';

const details = (keep: number, time = '03:00') => ({
  policy_details: [
    { schedule: [{ create_rule: [{ times: [time] }], retain_rule: [{ count: keep }] }] },
  ],
});
const plan = (actions: string[], before: object | null, after: object | null) =>
  summarizePlan(
    createPlan([{ address: 'aws_dlm_lifecycle_policy.snapshots[0]', actions, before, after }]),
  );
const DESIRED = { keep: 7, time: '03:00', permissionsBoundary: null };
const ENDED = plan(['delete'], details(7), null);
const FEWER = plan(['update'], details(7), details(3, '04:00'));

test.each([
  ['made', plan(['create'], null, details(7)), null, /begin:\*\* AWS makes them daily at 03:00/],
  ['kept longer', plan(['update'], details(7), details(9)), null, /9 of each .* instead of 7\.$/],
  [
    'at another time',
    plan(['update'], details(7), details(7, '04:00')),
    null,
    /change:\*\* they begin at 04:00 UTC instead of 03:00\.$/,
  ],
  [
    'fewer, at another time',
    FEWER,
    /^snapshots\.keep: 3 instead of 7 .* deletes the older ones\.$/,
    /3 of each .* \*\*deletes\*\* the older ones after the next; they begin at 04:00/,
  ],
  ['no more', ENDED, /^snapshots is removed: .* nothing deletes them\.$/, /\*\*Snapshots end:\*\*/],
  ['as before', plan(['no-op'], details(7), details(7)), null, /^$/],
  ['of another state', plan(['update'], { state: 'ERROR' }, { state: 'ENABLED' }), null, /^$/],
])('snapshots are %s', (_, summary, loss, words) => {
  if (loss === null) expect(explainSnapshotLoss(summary)).toBeNull();
  else expect(explainSnapshotLoss(summary)).toMatch(loss);
  expect(renderSnapshotChange(summary, DESIRED)).toMatch(words);
});

test.each([ENDED, FEWER])('fewer snapshots or none need the label', (summary) => {
  const ask = (labels: string[]) =>
    explainApplyRefusal(summary, { kind: 'plan', label: 'allow-destroy', labels });
  expect(ask([])).toEqual([
    expect.stringMatching(
      /^snapshots.* label the pull request allow-destroy and run this again\.$/,
    ),
  ]);
  expect(ask(['allow-destroy'])).toEqual([]);
});
