import { cleanText } from '../messages/clean-text.ts';

/**
 * Renders untrusted text (plans, names, Ansible's output, messages) as GitHub Markdown that stays in its place: no
 * markup, no HTML, no mention, no cross-reference, no hidden change of direction. Every function here takes raw text
 * and returns Markdown that is safe in the place its name says.
 *
 * This is own code on purpose: Markdown stringifiers escape CommonMark, but not GitHub's mentions, references,
 * autolinks and invisible characters.
 */

/** Replaces a carriage return that must not end a line. */
export const CARRIAGE_RETURN = '<U+000D>';

/** Renders a short text as inline code on one line, for paragraphs, list items and table cells. */
export function renderCode(text: string): string {
  const line = toLine(text);
  // The longer form is for text that a span of single backticks cannot hold in all of these places.
  const plain = line !== '' && line === line.trim() && !/[`|\\]/.test(line);
  return plain ? `\`${line}\`` : `<code>${encodeEntities(line)}</code>`;
}

/** Renders a short text as inline code where GitHub parses no Markdown, e.g. in `<summary>`. */
export function renderHtmlCode(text: string): string {
  return `<code>${toLine(text).replace(/[&<>]/g, encode)}</code>`;
}

/** Renders a sentence as prose on one line: links, mentions and references in it stay plain text. */
export function renderText(text: string): string {
  return (
    encodeEntities(toLine(text))
      // GitHub finds these in runs of text: a zero-width character ends the run.
      .replace(/&#64;|&#35;|:(?=\/\/)|\b(?:www(?=\.)|gh(?=-\d))/gi, (start) => `${start}&#8203;`)
      // At the start of a block these would open a list, a quote or a heading.
      .replace(/^(\d+)([.)])/, (_, number, mark) => `${number}${encode(mark)}`)
      .replace(/^[-+=]/, encode)
  );
}

/** Shortens a message to at most `most` characters; still raw. */
export function shortenText(text: string, most = 600): string {
  // Colours and line ends do not count, but a message is not searched for them without limit.
  const line = toLine(text.slice(0, most * 10));
  if (line.length <= most && text.length <= most * 10) return line;
  // Drops half of a surrogate pair.
  const start = line.slice(0, most).replace(/[\ud800-\udbff]$/, '');
  return `${start.trimEnd()} …`;
}

/** Renders a text of any length in a fence that it cannot close. `language` is trusted, e.g. `diff`. */
export function renderFence(text: string, language = ''): string {
  const cleaned = cleanText(text).replace(/\n+$/, '');
  const fence = '`'.repeat(Math.max(3, longestRun(cleaned) + 1));
  return `${fence}${language}\n${cleaned}\n${fence}`;
}

/** Renders a fold. `summary` is trusted HTML, `body` trusted Markdown. */
export function renderDetails(
  summary: string,
  body: string,
  { open = false }: { open?: boolean } = {},
): string {
  return `<details${open ? ' open' : ''}><summary>${summary}</summary>\n\n${body}\n\n</details>`;
}

/**
 * Renders a table; cells are trusted Markdown, made with `renderCode` or `renderText`. `left`: the header stands at the
 * left, as the cells do, and not in the middle.
 */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { left = false }: { left?: boolean } = {},
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => (left ? ':--' : '---'))), ...rows.map(line)].join(
    '\n',
  );
}

/** Renders a link to a trusted address; characters that are special in Markdown are percent-encoded. */
export function renderLink(label: string, url: string): string {
  const encoded = url.replace(
    /[^\w./:?#=&%~-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return `[${label}](${encoded})`;
}

/** Returns `1 node` or `3 nodes`; the plural is the singular with an s. */
export function countNoun(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function toLine(text: string): string {
  return cleanText(text)
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll('\t', ' ')
    .trim();
}

function encodeEntities(text: string): string {
  return text.replace(
    // An underscore inside a word is no markup, and names are full of them.
    /[&<>`*~|\\[\]$#@]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu,
    encode,
  );
}

function encode(mark: string): string {
  return `&#${mark.charCodeAt(0)};`;
}

function longestRun(text: string): number {
  return (text.match(/`+/g) ?? []).reduce((longest, run) => Math.max(longest, run.length), 0);
}
