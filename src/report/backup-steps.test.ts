import { describe, expect, test } from 'vitest';
import type { Step } from '../cluster/rollout/step.ts';
import { summarizeBackupSteps } from './backup-steps.ts';
import { summarizeSteps } from './steps.ts';

type Change = 'begins' | 'ends' | 'repository' | 'options';

const archive = (changes: Readonly<Record<string, Change>>): Step => ({
  ...{ kind: 'archive', nodes: Object.keys(changes), primary: 'node-1' },
  reasons: Object.fromEntries(
    Object.entries(changes).map(([node, change]) => [node, [{ kind: 'archive', change }]]),
  ),
});
const full: Step = { kind: 'backup', nodes: ['node-1'], primary: 'node-1', type: 'full' };
const prepare: Step = { kind: 'prepare', nodes: ['node-1', 'node-2'] };
const clone: Step = {
  ...{ kind: 'clone', nodes: ['node-2'], primary: 'node-1', source: 'node-1', maxRate: null },
  ...{ settings: {}, neededBytes: {} },
};

describe('the headline says what becomes of the backups', () => {
  test.each<[string, readonly Step[], readonly string[]]>([
    ['begin', [archive({ 'node-1': 'begins' }), full], ['backups begin', 'full backup']],
    ['end', [archive({ 'node-1': 'ends', 'node-2': 'ends' })], ['backups end']],
    ['move', [archive({ 'node-1': 'repository' })], ['backups move']],
    ['change', [archive({ 'node-1': 'options' })], ['backups change']],
    ['of the primary', [archive({ 'node-2': 'begins', 'node-1': 'options' })], ['backups change']],
    ['without a reason', [{ ...archive({ 'node-1': 'begins' }), reasons: {} }], ['backups change']],
    [
      'begin on a replica that was away',
      [archive({ 'node-2': 'begins' })],
      ['backups begin on node-2'],
    ],
    ['end on a replica that was away', [archive({ 'node-2': 'ends' })], ['backups end on node-2']],
    [
      'differ on replicas that were away',
      [archive({ 'node-2': 'begins', 'node-3': 'options' })],
      ['backups change on node-2, node-3'],
    ],
    ['on a new replica, as with every clone', [clone, archive({ 'node-2': 'begins' })], []],
  ])('%s', (_, steps, expected) => {
    expect(summarizeBackupSteps(steps)).toEqual(expected);
  });

  test('and does not count steps', () => {
    const steps = [archive({ 'node-1': 'ends' }), prepare];
    expect(summarizeSteps(steps, null)).toBe('backups end');
  });
});
