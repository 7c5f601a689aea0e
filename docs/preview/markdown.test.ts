import { describe, expect, test } from 'vitest';
import { readGoldens } from './golden.ts';
import { renderMarkdown } from './markdown.ts';
import { REFERENCE_CLASSES } from './reference.ts';

describe('renderMarkdown', () => {
  test.each([
    ['a script', '<script>alert(1)</script>', ['script', 'alert']],
    ['a handler', '<img src="https://example.invalid/x.png" onerror="alert(1)">', ['onerror']],
    ['a javascript: link', '[x](javascript:alert(1))', ['javascript']],
    ['a style', '<div style="position:fixed" class="flash">x</div>', ['style', 'flash']],
    ['a frame', '<iframe src="https://example.invalid"></iframe>', ['iframe']],
  ])('strips %s', (_what, markdown, gone) => {
    const html = renderMarkdown(markdown);
    for (const text of gone) expect(html).not.toContain(text);
  });

  test.each([
    ['a newline', 'a\nb', '<p>a<br>\nb</p>'],
    ['folded parts', '<details open><summary>a</summary>\n\nb\n\n</details>', '<details open>'],
    ['a table', '| a |\n| --- |\n| b |', '<td>b</td>'],
    ['an alert', '> [!CAUTION]\n> - x', 'class="markdown-alert markdown-alert-caution"'],
    ['an added line', '```diff\n+ a\n```', '<span class="pl-mi1">'],
    ['a removed line', '```diff\n- a\n```', '<span class="pl-md">'],
    ['a mention', 'hello @acme/admins', 'class="user-mention">@acme/admins</a>'],
    ['a mention in HTML', '<sub>hello @acme</sub>', 'class="user-mention">@acme</a>'],
    ['an issue', 'closes #1', 'class="issue-link">#1</a>'],
    ['an issue elsewhere', 'see acme/database#12', 'class="issue-link">acme/database#12</a>'],
    ['an issue by its old name', 'see GH-2', 'class="issue-link">GH-2</a>'],
  ])('shows %s', (_what, markdown, html) => {
    expect(renderMarkdown(markdown)).toContain(html);
  });

  test.each([
    ['code', '`@acme #1 GH-2`'],
    ['a fence', '```\n@acme #1 https://example.invalid\n```'],
    ['an e-mail address', 'postgres&#64;example'],
    ['an escaped mention', '&#64;&#8203;acme'],
  ])('links nothing in %s', (_what, markdown) => {
    expect(renderMarkdown(markdown)).not.toContain('<a ');
  });
});

describe('golden comments', () => {
  const goldens = readGoldens();
  const pings = new RegExp(`class="(?:${REFERENCE_CLASSES.join('|')})"`);

  test.each(goldens)('$name mentions nobody and loads nothing', ({ markdown }) => {
    const html = renderMarkdown(markdown);
    expect(html).not.toMatch(pings);
    expect(html).not.toMatch(/<(?:img|picture|source|input)\b/);
    for (const [, href] of html.matchAll(/<a [^>]*href="([^"]*)"/g)) {
      expect(href).toMatch(/^https:\/\/github\.com\/acme\/(database|postgres-cluster-action)\//);
    }
  });
});
