import { expect, test } from 'vitest';
import { allowsSlotLoss, refuseSlotLoss } from './slot-loss.ts';

const LABEL = 'allow-slot-loss';

test.each([
  [LABEL, ['other', 'Allow-Slot-Loss'], true],
  [LABEL, ['other'], false],
  [LABEL, null, false],
  [null, [LABEL], false],
])('with %j named and %j on the pull request slots may be lost: %j', (label, labels, allowed) => {
  expect(allowsSlotLoss({ label, labels })).toBe(allowed);
  const refusals = refuseSlotLoss('node-1: slot cdc would be lost.', { label, labels });
  expect(refusals).toHaveLength(allowed ? 0 : 1);
});

test.each([
  [LABEL, ['other'], /^node-1: .* label the pull request allow-slot-loss and run this again\.$/],
  [LABEL, null, /open a pull request and label it allow-slot-loss\.$/],
  [null, [], /name a label in allow-slot-loss-label\.$/],
])('the way out with %j and %j', (label, labels, words) => {
  expect(refuseSlotLoss('node-1: lost.', { label, labels })).toEqual([
    expect.stringMatching(words),
  ]);
});

test('nothing is refused where no slot is lost', () => {
  expect(refuseSlotLoss(null, { label: null, labels: null })).toEqual([]);
});
