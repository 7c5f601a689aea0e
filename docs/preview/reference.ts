import type { Element, Root } from 'hast';
import { findAndReplace } from 'hast-util-find-and-replace';

// Whether GitHub links one of these depends on whether the person, the issue or the site exists. Here all
// are linked: a preview that shows too many is the one that shows what a stranger's text could reach.
const MENTION = /(?<![\w/`@-])@[a-z\d][a-z\d-]{0,38}(?:\/[\w-]+)?/gi;
const ISSUE = /(?<![\w&])(?:[\w.-]+\/[\w.-]+)?#\d+\b|\bGH-\d+\b/gi;
const ADDRESS = /\bhttps?:\/\/[^\s<]+|\bwww\.[^\s<.]+\.[^\s<]+/gi;

/** Where GitHub links nothing. */
const QUIET = ['a', 'code', 'pre', 'script', 'style', 'tt'];

/** What a class says of a link that nobody wrote as one. */
export const REFERENCE_CLASSES = ['user-mention', 'issue-link', 'auto-link'] as const;

/**
 * Makes links of mentions, issue references and bare addresses in the text of `tree` (GitHub docs,
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
    // It leads nowhere: only that it is a link matters here.
    properties: { href: '#', className: [className] },
    children: [{ type: 'text', value: text }],
  };
}
