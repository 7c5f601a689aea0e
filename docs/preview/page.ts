import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Golden } from './golden.ts';
import { renderMarkdown } from './markdown.ts';

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/**
 * Returns a self-contained page without scripts that shows the comments as a pull request on GitHub does: light and
 * dark, desktop and phone. With `#<name>` in its address it shows that comment alone.
 */
export function renderPage(goldens: readonly Golden[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>What the action writes on a pull request</title>
<style>${readStyle()}</style>
</head>
<body>
${renderControls(goldens)}
<main>
${goldens.map(renderComment).join('\n')}
</main>
</body>
</html>
`;
}

/** Returns the id of a comment's box in the page. */
export const commentId = (name: string): string => `comment-${name}`;

function renderControls(goldens: readonly Golden[]): string {
  const links = goldens.map(({ name }) => `<a href="#${commentId(name)}">${name}</a>`);
  const radio = (group: string, id: string, label: string, checked = '') =>
    `<label><input type="radio" name="${group}" id="${id}"${checked}> ${label}</label>`;
  return `<nav>
${radio('theme', 'light', 'Light', ' checked')} ${radio('theme', 'dark', 'Dark')}
${radio('width', 'desk', 'Desk', ' checked')} ${radio('width', 'phone', 'Phone')}
<details><summary>${goldens.length} comments</summary><a href="#">all</a> ${links.join(' ')}</details>
</nav>`;
}

function renderComment({ name, markdown }: Golden): string {
  return `<article id="${commentId(name)}">
${AVATAR}
<div class="comment">
<header>${AVATAR}<strong>github-actions</strong><span class="bot">bot</span><span class="muted">commented now</span></header>
<div class="markdown-body">
${renderMarkdown(markdown)}
</div>
</div>
</article>`;
}

// The Octicon "play", as on the Actions tab: "mark-github" would put a trade mark into every picture.
const AVATAR = `<svg class="avatar" viewBox="0 0 40 40" aria-hidden="true"><rect width="40" height="40" rx="20"/><path d="M16 12.5v15a1 1 0 0 0 1.5.86l12-7.5a1 1 0 0 0 0-1.72l-12-7.5a1 1 0 0 0-1.5.86Z"/></svg>`;

/** Returns GitHub's two themes, each scoped to its radio button, and the style of the frame. */
function readStyle(): string {
  const read = (file: string) =>
    readFileSync(fileURLToPath(import.meta.resolve(`github-markdown-css/${file}`)), 'utf8');
  return [
    `:where(:root:has(#light:checked)) {${read('github-markdown-light.css')}}`,
    `:where(:root:has(#dark:checked)) {${read('github-markdown-dark.css')}}`,
    readFileSync(join(import.meta.dirname, 'page.css'), 'utf8'),
  ].join('\n');
}
