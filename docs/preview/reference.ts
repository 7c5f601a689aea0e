import type { Element, Root } from 'hast';
import { findAndReplace } from 'hast-util-find-and-replace';

// GitHub links a reference only if the person, issue or site exists. The preview links all of them, to show everything
// that a stranger's text could reach.
const MENTION = /(?<![\w/`@-])@[a-z\d][a-z\d-]{0,38}(?:\/[\w-]+)?/gi;
const ISSUE = /(?<![\w&])(?:[\w.-]+\/[\w.-]+)?#\d+\b|\bGH-\d+\b/gi;
const ADDRESS = /\bhttps?:\/\/[^\s<]+|\bwww\.[^\s<.]+\.[^\s<]+/gi;

/** Elements in which GitHub links nothing. */
const QUIET = ['a', 'code', 'pre', 'script', 'style', 'tt'];

/** Classes of links that the author did not write as links. */
export const REFERENCE_CLASSES = ['user-mention', 'issue-link', 'auto-link'] as const;

/**
 * Links mentions, issue references and bare addresses in the text of `tree` (GitHub docs,
 * "Autolinked references and URLs"), HTML's text included.
 */
export function linkReferences(tree: Root): void {
  const link = (name: (typeof REFERENCE_CLASSES)[number]) => (text: string) =>
    createLink(text, name);
  findAndReplace(
    tree,
    [
      [ADDRESS, link('auto-link')],
      [MENTION, link('user-mention')],
      [ISSUE, link('issue-link')],
    ],
    { ignore: QUIET },
  );
}

function createLink(text: string, className: string): Element {
  return {
    type: 'element',
    tagName: 'a',
    // The target does not matter here, only that it is a link.
    properties: { href: '#', className: [className] },
    children: [{ type: 'text', value: text }],
  };
}
