import { quoteValue } from '../messages/quote-value.ts';

/** Deeper than any body or backend, and safe for recursive code. */
const MAX_LEVELS = 32;

/** A JSON value, or the problem with its text: a sentence without the input's name. */
export type JsonResult = { readonly value: unknown } | { readonly problem: string };

/**
 * Parses JSON, and refuses duplicate keys, of which `JSON.parse` would keep the last, and more than 32 levels.
 * `malformed` is the problem of a text that is not JSON, `example` an allowed value. Never throws.
 */
export function parseJson(
  text: string,
  { malformed, example }: { malformed: string; example: string },
): JsonResult {
  // Checked before any code reads the value by recursion.
  const levels = countLevels(text);
  if (levels > MAX_LEVELS) {
    return { problem: `nested ${levels} levels deep. Allowed: ${MAX_LEVELS}, e.g. ${example}.` };
  }
  try {
    const value: unknown = JSON.parse(text);
    const twice = findRepeated(text);
    return twice === null
      ? { value }
      : { problem: `the key ${twice} is given twice. Keep one of them.` };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { problem: malformed };
  }
}

/** Strings, where an unclosed one extends to the end, and structural characters. */
const TOKEN = /"[^"\\]*(?:\\[\s\S]?[^"\\]*)*(?:"|$)|[{}[\]:]/g;

function countLevels(text: string): number {
  let level = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') level++;
    else if (token === '}' || token === ']') level--;
    deepest = Math.max(deepest, level);
  }
  return deepest;
}

/** Returns the first duplicate key, as messages show it, or null. `text` must be valid JSON. */
function findRepeated(text: string): string | null {
  const open: Set<string>[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      // Escapes allow several spellings of one key.
      const key: string = JSON.parse(last);
      if (open.at(-1)?.has(key)) return quoteValue(key);
      open.at(-1)?.add(key);
    } else last = token;
  }
  return null;
}
