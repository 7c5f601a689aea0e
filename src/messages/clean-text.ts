/**
 * Colours and cursor movements (ECMA-48 control sequences), which carry no text. Other escapes can carry text, so they
 * are shown like all invisible characters: nothing in a plan may hide another part of it.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const ANSI = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]/g;

/** Control characters, invisible ones, and those that change the direction of text (Unicode classes Cc, Cf, Zl, Zp). */
const INVISIBLE = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115f\u1160\u3164\uffa0]/gu;

/** Characters that may need cleaning. Most text has none, and a large plan has megabytes of text. */
const UNUSUAL = /[^\n\t\u0020-\u007e]/;

/**
 * Returns text without colours, with line feeds as line ends and invisible characters written out, e.g. `<U+202E>`.
 * Tabs and line feeds stay.
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
