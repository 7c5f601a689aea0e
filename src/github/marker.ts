/** The beginning of every hidden line of this action. */
export const MARKER_PREFIX = '<!-- postgres-cluster-action';

/**
 * Returns the hidden line that identifies a comment or an issue.
 *
 * @throws Error if the identity has characters that could end the line
 */
export function renderMarker(identity: string): string {
  return renderHiddenLine('', identity);
}

/**
 * Returns a hidden line of a kind for `identity` (letters, digits and `. _ : / -`).
 *
 * @throws Error if the identity has characters that could end the line
 */
export function renderHiddenLine(kind: string, identity: string): string {
  if (!/^[\w.:/-]+$/.test(identity) || identity.includes('-->')) {
    throw new Error(
      `The comment identity ${JSON.stringify(identity)} cannot be hidden in a comment.`,
    );
  }
  return `${MARKER_PREFIX}${kind === '' ? '' : ` ${kind}`}: ${identity} -->`;
}
