/** What every hidden line of ours begins with. */
export const MARKER_PREFIX = '<!-- postgres-cluster-action';

/**
 * The hidden line that a comment or an issue is found by.
 *
 * @throws Error where the identity has characters that could end the line
 */
export function renderMarker(identity: string): string {
  return renderHiddenLine('', identity);
}

/**
 * A hidden line of some kind about `identity` (letters, digits and `. _ : / -`).
 *
 * @throws Error where the identity has characters that could end the line
 */
export function renderHiddenLine(kind: string, identity: string): string {
  if (!/^[\w.:/-]+$/.test(identity) || identity.includes('-->')) {
    throw new Error(
      `The comment identity ${JSON.stringify(identity)} cannot be hidden in a comment.`,
    );
  }
  return `${MARKER_PREFIX}${kind === '' ? '' : ` ${kind}`}: ${identity} -->`;
}
