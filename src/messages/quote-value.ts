/**
 * What a reader cannot see, or takes for something else: controls, formats such as a change of direction, and
 * every space but the ordinary one (Unicode classes C and Z, and what is ignored by default).
 */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/** Code units that are shown of a long value. */
const MOST = 80;

/**
 * A value as messages show it: in double quotes, on one line, cut where it is long, and with every invisible or
 * unusual character written out, e.g. `\u202e` or `\u00a0`.
 */
export function quoteValue(value: string): string {
  const shown = value.length > MOST ? `${value.slice(0, MOST - 3)}…` : value;
  return JSON.stringify(shown).replace(UNSEEN, writeOut);
}

function writeOut(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
}
