import { expect, test } from 'vitest';
import { parsePairs } from './file-command.ts';

test.each<[string, string, [string, string][]]>([
  ['nothing', '', []],
  [
    'lines',
    'a=1\n\nb=x=y\nc=',
    [
      ['a', '1'],
      ['b', 'x=y'],
      ['c', ''],
    ],
  ],
  [
    'a block',
    'plan<<EOF\nline 1\n\nb=2\nEOF\nc=3\n',
    [
      ['plan', 'line 1\n\nb=2'],
      ['c', '3'],
    ],
  ],
  ['an empty block', 'a<<E\nE', [['a', '']]],
  ['a delimiter with blanks does not match', 'a<<E\n E\nE\n', [['a', ' E']]],
  ['an equals sign before the arrows', 'a=b<<c\n', [['a', 'b<<c']]],
  ['carriage returns stay', 'a=1\r\n', [['a', '1\r']]],
])('reads %s', (_case, text, pairs) => {
  expect(parsePairs(text)).toEqual(pairs);
});

test.each([
  ['word', "Invalid format 'word'"],
  ['<<EOF\nx\nEOF\n', 'Name must not be empty'],
  ['a<<\nx\n', 'delimiter must not be empty'],
  ['a<<EOF\nx\n', "Matching delimiter not found 'EOF'"],
])('refuses %j', (text, message) => {
  expect(() => parsePairs(text)).toThrow(message);
});
