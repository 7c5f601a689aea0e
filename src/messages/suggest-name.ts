/** The largest number of typing errors in a name that is still recognised. */
const TYPING_ERRORS = 2;

/**
 * Returns the candidate that `name` probably means, or null: one that is equal except for case, spaces, dashes and
 * underscores, otherwise the nearest with at most two different letters, or one for names of up to four letters.
 */
export function suggestName(name: string, candidates: readonly string[]): string | null {
  const plain = simplify(name);
  const same = candidates.find((candidate) => simplify(candidate) === plain);
  if (same !== undefined) return same;
  const limit = name.length > 4 ? TYPING_ERRORS : 1;
  const near = candidates
    .map((candidate) => ({ candidate, distance: measureDistance(name, candidate) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)[0];
  return near?.candidate ?? null;
}

function simplify(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_-]/g, '');
}

/** The number of letters to insert, delete or replace to turn `a` into `b` (Levenshtein); infinite if it is large. */
function measureDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > TYPING_ERRORS) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (letter === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
