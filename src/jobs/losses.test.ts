import { expect, test, vi } from 'vitest';
import { createPlan } from '../report/fixtures/plan.ts';
import { summarizePlan } from '../terraform/plan.ts';
import {
  buildPermissions,
  buildSlotPermission,
  nameAllowers,
  refuseLoss,
  refuseUnseenRole,
} from './losses.ts';

const LABEL = 'allow-slot-loss';
const DELETED = [{ address: 'aws_instance.node["3"]', actions: ['delete'], before: { id: 'i-1' } }];

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

test.each([
  [['create'], []],
  [['no-op'], []],
  [['update'], ['other']],
  [['delete'], []],
  [['delete', 'create'], null],
] as const)(
  'the role of nodes that were not looked at: %j with the labels %j',
  (actions, labels) => {
    const address = 'aws_iam_role_policy.nodes[0]';
    const plan = summarizePlan(
      createPlan([{ address, actions: [...actions], before: {}, after: {} }]),
    );
    const inputs = { allowSlotLossLabel: null, allowDestroyLabel: 'allow-destroy' };
    const ask = (notObserved: string | null, given: readonly string[] | null) =>
      refuseUnseenRole(plan, { notObserved, permission: buildPermissions(inputs, given).destroy });
    const isHarmless = actions[0] === 'create' || actions[0] === 'no-op';
    expect(ask('No node answers.', labels)).toEqual(
      isHarmless ? [] : [expect.stringMatching(/^aws_iam_role_policy\.nodes.* No node answers\.$/)],
    );
    expect(ask('No node answers.', ['allow-destroy'])).toEqual([]);
    expect(ask(null, labels)).toEqual([]);
  },
);

test.each<[string, object[], string | null, string[] | null, (string | null | undefined)[]]>([
  ['a node', DELETED, null, ['allow-destroy'], ['bob', null]],
  ['a slot', [], 'node-1: lost.', [LABEL], [null, 'carol']],
  ['a node and a slot', DELETED, 'node-1: lost.', ['allow-destroy', LABEL], ['bob', 'carol']],
  ['a node, without the label', DELETED, null, [LABEL], [undefined, undefined]],
  ['a node, without a pull request', DELETED, null, null, [undefined, undefined]],
  ['nothing', [], null, ['allow-destroy', LABEL], [undefined, undefined]],
])(
  'who allowed the loss of %s is asked only if a label allows it',
  async (_, resources, slotLoss, labels, by) => {
    const inputs = { allowDestroyLabel: 'allow-destroy', allowSlotLossLabel: LABEL };
    const ask = vi.fn(
      async () =>
        new Map(
          Object.entries({ 'allow-destroy': 'bob', [LABEL]: 'carol' }).filter(([name]) =>
            labels?.includes(name),
          ),
        ),
    );
    const named = await nameAllowers(
      {
        plan: summarizePlan(createPlan(resources as never)),
        slotLoss,
        backupLoss: null,
        permissions: buildPermissions(inputs, labels),
      },
      ask,
    );
    expect([named.destroy.by, named.slotLoss.by]).toEqual(by);
    expect(ask).toHaveBeenCalledTimes(by[0] === undefined ? 0 : 1);
  },
);
