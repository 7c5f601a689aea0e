import { createStarryNight } from '@wooorm/starry-night';
import sourceDiff from '@wooorm/starry-night/source.diff';
import type { Element, Root } from 'hast';
import rehypeGithubAlert from 'rehype-github-alert';
import rehypeRaw from 'rehype-raw';
import rehypeSanitize from 'rehype-sanitize';
import rehypeStringify from 'rehype-stringify';
import remarkBreaks from 'remark-breaks';
import remarkGfm from 'remark-gfm';
import remarkParse from 'remark-parse';
import remarkRehype from 'remark-rehype';
import { unified } from 'unified';
import { visit } from 'unist-util-visit';
import { linkReferences } from './reference.ts';

const highlighter = await createStarryNight([sourceDiff]);

// GitHub's order: the author's text is sanitised first and decorated after that, so no text can imitate an alert's icon
// or a highlighted line.
const processor = unified()
  .use(remarkParse)
  .use(remarkGfm)
  // In comments, unlike in files, every newline is a line break.
  .use(remarkBreaks)
  .use(remarkRehype, { allowDangerousHtml: true })
  .use(rehypeRaw)
  // Its default schema is GitHub's.
  .use(rehypeSanitize)
  .use(() => linkReferences)
  .use(rehypeGithubAlert)
  .use(() => highlightDiffs)
  .use(rehypeStringify)
  .freeze();

/**
 * Returns the HTML that GitHub renders for `markdown` in a comment (GitHub Flavored Markdown Spec; GitHub docs, "Basic
 * writing and formatting syntax"). Safe to put into a page.
 */
export function renderMarkdown(markdown: string): string {
  return String(processor.processSync(markdown));
}

/** Highlights `diff` fences with GitHub's grammar and class names. */
function highlightDiffs(tree: Root): void {
  visit(tree, 'element', (pre, index, parent) => {
    const code = pre.tagName === 'pre' ? pre.children[0] : undefined;
    if (index === undefined || parent === undefined || !isDiff(code)) return;
    const [text] = code.children;
    const source = text?.type === 'text' ? text.value : '';
    const lines = highlighter.highlight(source, 'source.diff').children as Element['children'];
    parent.children[index] = {
      type: 'element',
      tagName: 'div',
      properties: { className: ['highlight', 'highlight-source-diff'] },
      children: [{ type: 'element', tagName: 'pre', properties: {}, children: lines }],
    };
  });
}

function isDiff(code: Element['children'][number] | undefined): code is Element {
  if (code?.type !== 'element' || code.tagName !== 'code') return false;
  const names = code.properties.className;
  return Array.isArray(names) && names.includes('language-diff');
}
