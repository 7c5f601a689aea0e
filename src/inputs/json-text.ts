import { quoteValue } from '../messages/quote-value.ts';

/** Deeper than any body or backend needs; code that reads JSON by recursion can take it. */
const MAX_LEVELS = 32;

/** A JSON value, or what is wrong with its text: a sentence without the input's name. */
export type JsonResult = { readonly value: unknown } | { readonly problem: string };

/**
 * Reads JSON as `JSON.parse` does, and refuses what that lets pass: a key given twice, of which it would keep the
 * last, and nesting of more than 32 levels. `malformed` is the sentence for a text that is no JSON, `example` a value that is
 * allowed. Never throws.
 */
export function parseJson(
  text: string,
  { malformed, example }: { malformed: string; example: string },
): JsonResult {
  // Before anything reads it by recursion.
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

/** Strings, of which one that is not closed goes to the end, and the marks around them. */
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

/** The first key that its object has twice, as messages show it, or null. `text` is valid JSON. */
function findRepeated(text: string): string | null {
  const open: Set<string>[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      // Two spellings of one key are one key.
      const key: string = JSON.parse(last);
      if (open.at(-1)?.has(key)) return quoteValue(key);
      open.at(-1)?.add(key);
    } else last = token;
  }
  return null;
}
