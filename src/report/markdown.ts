/**
 * Renders untrusted text (plans, names, Ansible's output, messages) as GitHub Markdown that stays in its place: no
 * markup, no HTML, no mention, no cross-reference, no hidden change of direction. Every function here takes raw text and
 * returns Markdown that is safe in the place its name says.
 *
 * This is own code on purpose: Markdown stringifiers escape CommonMark, but not GitHub's mentions, references, autolinks
 * and invisible characters.
 */

/**
 * Colours and cursor movements (ECMA-48 control sequences), which carry no text. Other escapes can, so
 * they are shown like anything invisible: nothing in a plan shall be hidden by what stands around it.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const ANSI = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]/g;
/** How a carriage return is shown where it must not end a line. */
export const CARRIAGE_RETURN = '<U+000D>';

/** Controls, and what is invisible or turns the direction of text (Unicode classes Cc, Cf, Zl, Zp). */
const INVISIBLE = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115f\u1160\u3164\uffa0]/gu;

/** All that may need cleaning. Most text has none of it, and a large plan has megabytes of text. */
const UNUSUAL = /[^\n\t\u0020-\u007e]/;

/**
 * Text without colours, with line feeds as line ends; anything a reader could not see is
 * written out, e.g. `<U+202E>`. Tabs and line feeds stay.
 */
export function cleanText(text: string): string {
  if (!UNUSUAL.test(text)) return text;
  return text
    .replace(ANSI, '')
    .replace(/\r\n?/g, '\n')
    .replace(INVISIBLE, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
    });
}

/** A short text as inline code, for paragraphs, list items and table cells. One line, whatever comes in. */
export function renderCode(text: string): string {
  const line = toLine(text);
  // Only what a span of single backticks cannot hold in every place needs the longer form.
  const plain = line !== '' && line === line.trim() && !/[`|\\]/.test(line);
  return plain ? `\`${line}\`` : `<code>${encodeEntities(line)}</code>`;
}

/** A short text as inline code where Markdown is not read, e.g. in `<summary>`. */
export function renderHtmlCode(text: string): string {
  return `<code>${toLine(text).replace(/[&<>]/g, encode)}</code>`;
}

/** A sentence as prose, on one line: links, mentions and references in it stay plain text. */
export function renderText(text: string): string {
  return (
    encodeEntities(toLine(text))
      // GitHub looks for these in runs of text: a character without width ends the run.
      .replace(/&#64;|&#35;|:(?=\/\/)|\b(?:www(?=\.)|gh(?=-\d))/gi, (start) => `${start}&#8203;`)
      // At the start of a block these would open a list, a quote or a heading.
      .replace(/^(\d+)([.)])/, (_, number, mark) => `${number}${encode(mark)}`)
      .replace(/^[-+=]/, encode)
  );
}

/** A message of any length, cut where people stop reading; still raw. */
export function shortenText(text: string, most = 600): string {
  // What takes no room, colours and line ends, is taken out first: of more than this nobody needs to know.
  const line = toLine(text.slice(0, most * 10));
  if (line.length <= most && text.length <= most * 10) return line;
  // Half a character is none.
  const start = line.slice(0, most).replace(/[\ud800-\udbff]$/, '');
  return `${start.trimEnd()} …`;
}

/** A text of any length in a fence it cannot close, `language` one of ours, e.g. `diff`. */
export function renderFence(text: string, language = ''): string {
  const cleaned = cleanText(text).replace(/\n+$/, '');
  const fence = '`'.repeat(Math.max(3, longestRun(cleaned) + 1));
  return `${fence}${language}\n${cleaned}\n${fence}`;
}

/** A fold. `summary` is HTML of ours, `body` Markdown of ours. */
export function renderDetails(
  summary: string,
  body: string,
  { open = false }: { open?: boolean } = {},
): string {
  return `<details${open ? ' open' : ''}><summary>${summary}</summary>\n\n${body}\n\n</details>`;
}

/** A table; cells are Markdown of ours, made with `renderCode` or `renderText`. */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A link to an address of ours; what Markdown reads specially in it is percent-encoded. */
export function renderLink(label: string, url: string): string {
  const encoded = url.replace(
    /[^\w./:?#=&%~-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return `[${label}](${encoded})`;
}

/** `1 node`, `3 nodes`; the plural is the singular with an s. */
export function countNoun(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `512 B`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const size = bytes / 1024 ** power;
  return `${power === 0 ? size : size.toFixed(1)} ${units[power]}`;
}

function toLine(text: string): string {
  return cleanText(text)
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll('\t', ' ')
    .trim();
}

function encodeEntities(text: string): string {
  return text.replace(
    // An underscore inside a word marks nothing, and names are full of them.
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
