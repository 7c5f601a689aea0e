import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countNoun,
  renderCode,
  renderFence,
  renderHtmlCode,
  renderLink,
  renderTable,
  renderText,
} from './markdown.ts';

/** Generates text with many characters that are special to Markdown, HTML, GitHub and terminals. */
const nasty = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.constantFrom(
        ...['`', '``', '```', '~~~', '|', '\\', '\n', '\r\n', '\t', '<!--', '-->', '</details>'],
        ...[
          '@a',
          '#1',
          'GH-1',
          '[x](y)',
          '![x]',
          '**',
          '_',
          '$$',
          '\u001b[31m',
          '\u202e',
          '\u200b',
        ],
        ...['\u001b]0;title\u0007', '\u009b1m', '\ud800', '&amp;', 'https://x.invalid', 'www.x.y'],
      ),
    ),
  )
  .map((parts) => parts.join(''));

const check = (property: (text: string) => void) =>
  fc.assert(
    fc.property(nasty, (text) => {
      property(text);
    }),
    { numRuns: 500 },
  );

describe('renderFence', () => {
  test.each([
    ['plain', 'a\nb', '```\na\nb\n```'],
    ['a fence inside', '```\nx\n```', '````\n```\nx\n```\n````'],
    ['tildes', '~~~~', '```\n~~~~\n```'],
    ['empty', '', '```\n\n```'],
  ])('%s', (_case, text, fenced) => {
    expect(renderFence(text)).toBe(fenced);
  });

  test('is closed by its own last line only', () => {
    check((text) => {
      const lines = renderFence(text, 'diff').split('\n');
      const fence = lines[0]?.replace('diff', '') ?? '';
      // CommonMark 4.5: a closing fence has at least as many characters and nothing but spaces after it.
      const closing = new RegExp(`^ {0,3}\`{${fence.length},}[ \\t]*$`);
      expect(lines.slice(1).findIndex((line) => closing.test(line))).toBe(lines.length - 2);
    });
  });
});

describe('renderCode', () => {
  test.each([
    ['a name', 'aws_instance.node["1"]', '`aws_instance.node["1"]`'],
    ['a backtick', 'a`b', '<code>a&#96;b</code>'],
    ['a pipe, which would end a table cell', 'a|b', '<code>a&#124;b</code>'],
    ['two lines', 'a\n b', '`a b`'],
    ['nothing', '', '<code></code>'],
  ])('%s', (_case, text, code) => {
    expect(renderCode(text)).toBe(code);
  });

  test('is one span on one line, in a table as well', () => {
    check((text) => {
      const code = renderCode(text);
      expect(code).toMatch(/^(`[^`|\\\n]+`|<code>[^<>`|\\\n]*<\/code>)$/);
    });
  });
});

test('renderHtmlCode contains no tag but its own', () => {
  check((text) => expect(renderHtmlCode(text)).toMatch(/^<code>[^<>\n]*<\/code>$/));
});

describe('renderText', () => {
  test.each([
    [
      'a sentence',
      'replica-count: 2 nodes, max_connections = 200.',
      'replica-count: 2 nodes, max_connections = 200.',
    ],
    ['a mention', '@acme/admins', '&#64;&#8203;acme/admins'],
    ['references', '#1 and gh-2', '&#35;&#8203;1 and gh&#8203;-2'],
    ['addresses', 'https://x.invalid', 'https:&#8203;//x.invalid'],
    ['emphasis', '_a_ *b* a_b', '&#95;a&#95; &#42;b&#42; a_b'],
    ['a list item', '- x', '&#45; x'],
    ['a numbered item', '12. x', '12&#46; x'],
  ])('%s', (_case, text, markdown) => {
    expect(renderText(text)).toBe(markdown);
  });

  test('is one line without active markup', () => {
    check((text) => {
      const rest = renderText(text).replace(/&#\d+;/g, ' ');
      expect(rest).not.toMatch(/[<>`*~|\\[\]$#@&\n]|^[-+=]|:\/\/|\bwww\.|\bgh-\d/i);
    });
  });
});

test.each([
  [
    'unchanged',
    'https://github.com/a/b/actions/runs/1?x=1#y',
    'https://github.com/a/b/actions/runs/1?x=1#y',
  ],
  ['with its special characters encoded', 'https://x/a)b c"<', 'https://x/a%29b%20c%22%3C'],
])('renderLink keeps an address %s', (_case, url, encoded) => {
  expect(renderLink('run', url)).toBe(`[run](${encoded})`);
});

test('renderTable renders a table', () => {
  expect(renderTable(['a', 'b'], [['1', '2']])).toBe('| a | b |\n| --- | --- |\n| 1 | 2 |');
});

test.each([
  [0, '0 nodes'],
  [1, '1 node'],
  [2, '2 nodes'],
])('countNoun %i', (count, text) => {
  expect(countNoun(count, 'node')).toBe(text);
});
