import { expect, test } from 'vitest';
import { parseCommand } from './command.ts';

test.each([
  ['::error::disk full', 'error', {}, 'disk full'],
  [
    '  ::warning file=a.tf,line=3,title=Two%3A words::x',
    'warning',
    { file: 'a.tf', line: '3', title: 'Two: words' },
    'x',
  ],
  ['::add-mask::50%25 %0Aand more', 'add-mask', {}, '50% \nand more'],
  ['::set-output name=a::b::c', 'set-output', { name: 'a' }, 'b::c'],
  ['::GROUP::Plan', 'group', {}, 'Plan'],
  ['before ##[error]after', 'error', {}, 'after'],
  ['##[set-output name=a;x=%3B]v', 'set-output', { name: 'a', x: ';' }, 'v'],
])('%s is a command', (line, name, properties, data) => {
  expect(parseCommand(line)).toEqual({ name, properties, data });
});

test.each([
  ['text before ::error::no'],
  ['::unknown::no'],
  ['::error'],
  ['2001:db8::1::2'],
  ['##[unknown]no'],
  [''],
])('%j is plain output', (line) => {
  expect(parseCommand(line)).toBeUndefined();
});

test('recognises the token that resumes commands', () => {
  expect(parseCommand('::Token-1::', 'token-1')).toMatchObject({ name: 'token-1' });
});
