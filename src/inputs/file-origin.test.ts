import { describe, expect, test } from 'vitest';
import { CLUSTER_FILE_PATH, MINIMAL_FILE, readInputsFromFile } from './cluster-file-fixtures.ts';
import { REVIEW } from './input-fixtures.ts';
import { locateInFile } from './locate-in-cluster-file.ts';
import type { InputResult } from './read-inputs.ts';

describe('a proposed file', () => {
  test.each<[string, string, RegExp]>([
    [
      'an unknown key',
      `${MINIMAL_FILE}replicas: 2\n`,
      /^clusters\/orders\.yml on main cannot be read, .*\(4: unknown key replicas.*Correct it on main first\.$/,
    ],
    [
      'no backend',
      MINIMAL_FILE.replace('backend: local\n', ''),
      /^clusters\/orders\.yml on main:1: backend: missing\. .*It counts from main/,
    ],
    [
      'no name',
      MINIMAL_FILE.replace('cluster_name: orders\n', ''),
      /^clusters\/orders\.yml on main:1: cluster_name: missing\. .*It counts from main/,
    ],
    [
      'a wrong region',
      `${MINIMAL_FILE}region: us-eats-1\n`,
      /^clusters\/orders\.yml on main:4: region: "us-eats-1" is not allowed.*It counts from main/,
    ],
  ])('%s on the default branch is refused', async (_, existing, problem) => {
    const { problems } = await readInputsFromFile(`${MINIMAL_FILE}region: us-east-1\n`, {
      intent: REVIEW,
      existing,
    });
    expect(problems).toEqual([expect.stringMatching(problem)]);
    const place = locateInFile(problems[0] ?? '', {
      path: CLUSTER_FILE_PATH,
      file: null,
      given: {},
    });
    expect(place).toBeNull();
  });

  test('problems of the pull request’s file are reported in the comment of the default branch’s cluster', async () => {
    const result = await readInputsFromFile('replicas: 2\n', {
      intent: REVIEW,
      existing: `${MINIMAL_FILE}label_prefix: db/\n`,
    });
    expect(result.inputs).toBeNull();
    expect(result.inputs === null && result.cluster).toEqual({
      name: 'orders',
      path: CLUSTER_FILE_PATH,
      workingDirectory: '.postgres-cluster/orders',
      region: 'us-east-1',
      shared: false,
      labelPrefix: 'db/',
    });
  });

  test.each(['\t', 'replicas: 2\n'])(
    'a new file without a name has no cluster identity: %j',
    async (text) => {
      const result = await readInputsFromFile(text, { intent: REVIEW, existing: null });
      expect(result.inputs === null && result.cluster).toBeNull();
    },
  );
});

describe('a merged file', () => {
  const take = (result: InputResult) => ({
    onPlanChange: result.inputs?.onPlanChange,
    allowDestroyLabel: result.inputs?.allowDestroyLabel,
    allowCollationLabel: result.inputs?.allowCollationLabel,
    allowSlotLossLabel: result.inputs?.allowSlotLossLabel,
  });

  test.each<[string, string, string | null, object, readonly RegExp[]]>([
    [
      'looser rules count from the next merge on',
      `${MINIMAL_FILE}on_plan_change: apply\nallow_destroy_label: bug\nallow_collation_label: bug\nallow_slot_loss_label: bug\n`,
      MINIMAL_FILE,
      {
        onPlanChange: 'fail',
        allowDestroyLabel: 'allow-destroy',
        allowCollationLabel: 'allow-collation-change',
        allowSlotLossLabel: 'allow-slot-loss',
      },
      [
        /^clusters\/orders\.yml: allow_destroy_label, allow_collation_label, allow_slot_loss_label, on_plan_change count from the next merge on\./,
      ],
    ],
    [
      'rules of a new file count from the next merge on',
      `${MINIMAL_FILE}on_plan_change: apply\n`,
      null,
      { onPlanChange: 'fail' },
      [/on_plan_change counts from the next merge on/],
    ],
    [
      'stricter rules count at once',
      `${MINIMAL_FILE}allow_destroy_label: ''\n`,
      `${MINIMAL_FILE}on_plan_change: apply\n`,
      { onPlanChange: 'fail', allowDestroyLabel: null },
      [],
    ],
    [
      'rules that stay count',
      `${MINIMAL_FILE}on_plan_change: apply\nallow_destroy_label: bug\n`,
      `${MINIMAL_FILE}on_plan_change: apply\nallow_destroy_label: bug\n`,
      { onPlanChange: 'apply', allowDestroyLabel: 'bug' },
      [],
    ],
    [
      'rules of a file that could not be read are the default ones',
      `${MINIMAL_FILE}on_plan_change: apply\n`,
      '\t',
      { onPlanChange: 'fail' },
      [/on_plan_change counts from the next merge on/],
    ],
  ])('%s', async (_, text, before, expected, notes) => {
    const result = await readInputsFromFile(text, { before });
    expect(result.problems).toEqual([]);
    expect(take(result)).toMatchObject(expected);
    expect(result.inputs === null ? [] : result.notes).toEqual(
      notes.map((note) => expect.stringMatching(note)),
    );
  });

  test('a required signature stays required', async () => {
    const before = `${MINIMAL_FILE}require_signature: true\n`;
    expect((await readInputsFromFile(MINIMAL_FILE, { before })).problems).toEqual([
      expect.stringMatching(/^review-key: missing\. require-signature is true/),
    ]);
    expect((await readInputsFromFile(before, { before: MINIMAL_FILE })).problems).toHaveLength(1);
  });

  test('the step overrides the rules of both files', async () => {
    const file = `${MINIMAL_FILE}on_plan_change: apply\n`;
    const { inputs } = await readInputsFromFile(file, {
      before: MINIMAL_FILE,
      step: { 'on-plan-change': 'apply' },
    });
    expect(inputs?.onPlanChange).toBe('apply');
  });
});

describe('a restore is new', () => {
  const from = 'restore: { from: { bucket: acme-backups, cluster: orders }';
  const asking = `${MINIMAL_FILE}${from} }\n`;
  const broken = 'replicas: 2\n';

  test.each<[string, string, string | null, boolean]>([
    ['if the file before had none', asking, MINIMAL_FILE, true],
    ['if it had another', `${MINIMAL_FILE}${from}, time: 2026-11-26T05:12:00Z }\n`, asking, true],
    ['not if it was there', `${asking}replica_count: 2\n`, asking, false],
    ['not if it is removed', MINIMAL_FILE, asking, false],
    ['not in a new file', asking, null, false],
  ])('%s', async (_, text, earlier, isNew) => {
    for (const origin of [{ before: earlier }, { existing: earlier, intent: REVIEW }]) {
      const { inputs, problems } = await readInputsFromFile(text, origin);
      expect(problems).toEqual([]);
      expect(inputs?.isRestoreNew).toBe(isNew);
    }
  });

  test('not if nothing is known of an earlier file', async () => {
    for (const origin of [{}, { before: broken }]) {
      const { inputs } = await readInputsFromFile(asking, origin);
      expect(inputs?.isRestoreNew).toBe(false);
    }
  });
});
