import { expect, test } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { FailedStepsError } from '../messages/failed-steps-error.ts';
import { ContinuingError } from '../operations/continuing-error.ts';
import type { RehearsalPhase } from '../report/rehearsal.ts';
import { findFailedPhase, findPhase } from './rehearsal-phase.ts';

const fail = (...steps: string[]) => new FailedStepsError('node-1: it failed', { steps });
const goOn = (step: string) => new ContinuingError([{ kind: 'step', node: 'node-1', step }]);

test.each<[string, unknown, RehearsalPhase, RehearsalPhase]>([
  ['packages or the image', fail('prepare'), 'making', 'making'],
  ['the settings', fail('check'), 'making', 'making'],
  ['a short restore', fail('restore'), 'making', 'restoring'],
  ['a long restore', fail('restore'), 'restoring', 'restoring'],
  ['the start of what was restored', fail('start'), 'restoring', 'restoring'],
  ['its roles', fail('admit'), 'making', 'restoring'],
  ['a short verification', fail('verify'), 'making', 'verifying'],
  ['a long verification', fail('verify'), 'verifying', 'verifying'],
  ['the proof', fail('proof'), 'restoring', 'verifying'],
  ['two steps', fail('verify', 'prepare'), 'making', 'making'],
  ['a node that is not reached', new UserError('node-1: unreachable'), 'making', 'making'],
  ['an unknown cause after the restore', new Error('x'), 'restoring', 'restoring'],
  ['too slow packages', goOn('prepare'), 'making', 'making'],
  ['a restore that goes on', goOn('restore'), 'making', 'restoring'],
  ['a verification that goes on', goOn('verify'), 'restoring', 'verifying'],
  ['the canary', fail('proof'), 'preparing', 'preparing'],
  ['the record', fail('record'), 'recording', 'recording'],
  ['the removal', new UserError('left'), 'removing', 'removing'],
])('%s fails in the phase that it belongs to', (_, error, reached, expected) => {
  expect(findFailedPhase(error, reached)).toBe(expected);
});

test('work tells the phase, which never goes back', () => {
  const at = (kind: 'restore' | 'recovery' | 'verification') =>
    ({
      ...{ kind, node: 'node-1', done: 0, total: null, started: 0, updated: 0, working: true },
      ...{ rate: null, left: null },
    }) as const;
  expect(findPhase([], 'making')).toBe('making');
  expect(findPhase([at('restore')], 'making')).toBe('restoring');
  expect(findPhase([at('recovery')], 'restoring')).toBe('restoring');
  expect(findPhase([at('verification')], 'restoring')).toBe('verifying');
  expect(findPhase([at('recovery')], 'verifying')).toBe('verifying');
});
