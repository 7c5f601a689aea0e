import { expect, test } from 'vitest';
import { buildSlotPermission, refuseLoss } from './slot-loss.ts';

const LABEL = 'allow-slot-loss';

const refuse = (label: string | null, labels: readonly string[] | null) =>
  refuseLoss('node-1: lost.', buildSlotPermission({ allowSlotLossLabel: label }, labels));

test.each([
  [LABEL, ['other'], /^node-1: .* label the pull request allow-slot-loss and run this again\.$/],
  [LABEL, null, /open a pull request and label it allow-slot-loss\.$/],
  [null, [LABEL], /name a label in allow-slot-loss-label\.$/],
])(
  'a loss of slots is refused with label %j and %j on the pull request',
  (label, labels, words) => {
    expect(refuse(label, labels)).toEqual([expect.stringMatching(words)]);
  },
);

test('a loss of slots is allowed by the label, whatever its case', () => {
  expect(refuse(LABEL, ['other', 'Allow-Slot-Loss'])).toEqual([]);
});

test('nothing is refused if no slot is lost', () => {
  const permission = buildSlotPermission({ allowSlotLossLabel: null }, null);
  expect(refuseLoss(null, permission)).toEqual([]);
});
