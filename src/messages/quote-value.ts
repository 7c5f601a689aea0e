/**
 * Invisible and misleading characters: controls, formats such as a change of direction, and every space except the
 * ordinary one (Unicode classes C and Z, and the default ignorable code points).
 */
const MISLEADING = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/** The longest value that is shown whole, in code units. */
const MAX_LENGTH = 80;

/**
 * Formats a value for a message: in double quotes, on one line, cut if it is long, and with every invisible or misleading
 * character escaped, e.g. `\u202e` or `\u00a0`.
 */
export function quoteValue(value: string): string {
  const shown = value.length > MAX_LENGTH ? `${value.slice(0, MAX_LENGTH - 3)}…` : value;
  return JSON.stringify(shown).replace(MISLEADING, writeOut);
}

function writeOut(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
}
