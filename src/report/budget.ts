/**
 * Size limit of a comment: GitHub's 65,536, less the hidden marker that identifies the comment. Counted in UTF-8 bytes,
 * of which a text has at least as many as characters of any kind.
 */
export const COMMENT_BUDGET = 65_536 - 512;

/** Size limit of a job summary: 1 MiB per step, less room for other output of the step. */
export const SUMMARY_BUDGET = 1024 * 1024 - 4096;

/** A part of a report that can shrink to fit. */
export interface Section {
  /** Order of shrinking: 1 before 2. Sections without a number are short and stay whole. */
  readonly shrinkOrder?: number;
  /** Returns the fullest form within `room` bytes, else the shortest form. '' leaves the section out. */
  readonly render: (room: number) => string;
}

/** Returns a section that never shrinks. */
export function fixed(text: string): Section {
  return { render: () => text };
}

/**
 * Joins the sections with blank lines within `budget` bytes. In `shrinkOrder`, each section is cut to the room that the
 * others leave until everything fits. Room that a later cut frees is given back, first to the sections that shrink
 * last.
 */
export function fitSections(sections: readonly Section[], budget: number): string {
  const texts = sections.map(({ render }) => render(budget));
  const sizes = texts.map(byteLength);
  const cutToRoom = (index: number) => {
    const others = sumJoined(sizes.with(index, 0)) + SEPARATOR.length;
    texts[index] = sections[index]?.render(budget - others) ?? '';
    sizes[index] = byteLength(texts[index]);
  };
  const order = sections
    .map(({ shrinkOrder }, index) => ({ shrinkOrder, index }))
    .filter(
      (entry): entry is { shrinkOrder: number; index: number } => entry.shrinkOrder !== undefined,
    )
    .sort((a, b) => a.shrinkOrder - b.shrinkOrder)
    .map(({ index }) => index);
  const cut: number[] = [];
  for (const index of order) {
    if (sumJoined(sizes) <= budget) break;
    cutToRoom(index);
    cut.unshift(index);
  }
  for (const index of cut) cutToRoom(index);
  return join(texts);
}

/**
 * Returns `render(count)` with the largest count, up to `total`, that fits within `room` bytes. `render` states itself
 * how many parts are missing.
 */
export function fitParts(
  total: number,
  { room, render }: { room: number; render: (count: number) => string },
): string {
  const all = render(total);
  if (byteLength(all) <= room) return all;
  let [fits, tooMany] = [0, total];
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (byteLength(render(middle)) <= room) fits = middle;
    else tooMany = middle;
  }
  return render(fits);
}

/** Returns the length of `text` in UTF-8 bytes. */
export function byteLength(text: string): number {
  // A large report would spend most of its time on encoding short pieces.
  return BEYOND_ASCII.test(text) ? encoder.encode(text).length : text.length;
}

const BEYOND_ASCII = /[\u0080-\uffff]/;

const encoder = new TextEncoder();
const SEPARATOR = '\n\n';
const END = '\n';

function join(texts: readonly string[]): string {
  return `${texts.filter((text) => text !== '').join(SEPARATOR)}${END}`;
}

/** Returns the size of texts of these sizes after joining. */
function sumJoined(sizes: readonly number[]): number {
  const filled = sizes.filter((size) => size > 0);
  const separators = Math.max(0, filled.length - 1) * SEPARATOR.length;
  return filled.reduce((sum, size) => sum + size, 0) + separators + END.length;
}
