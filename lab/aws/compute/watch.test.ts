import { expect, test } from 'vitest';
import { readEvent } from './watch.ts';

const line = (
  Action: string,
  exitCode: string,
  labels = { 'postgres-cluster-lab.instance': 'i-1' },
) => JSON.stringify({ Action, Actor: { Attributes: { ...labels, exitCode } } });

test.each([
  ['a start', line('start', ''), 'start'],
  ['an end after a restart call', line('die', '129'), 'reboot'],
  ['an end after a power-off', line('die', '130'), 'shutdown'],
  ['a removal', line('destroy', ''), 'loss'],
  ['an end for another reason', line('die', '137'), 'shutdown'],
])('%s', (_name, text, kind) => {
  expect(readEvent(text)).toEqual({ instance: 'i-1', kind });
});

test('events of other containers of the world are ignored', () => {
  expect(readEvent(JSON.stringify({ Action: 'start', Actor: { Attributes: {} } }))).toBeUndefined();
});
