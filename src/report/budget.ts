/**
 * What a comment may hold: GitHub's limit is 65,536, less the hidden marker that the comment is
 * found by. Counted in UTF-8 bytes, of which a text has at least as many as characters of any kind.
 */
export const COMMENT_BUDGET = 65_536 - 512;

/** What a step may add to the job summary: 1 MiB, less room for what else the step writes. */
export const SUMMARY_BUDGET = 1024 * 1024 - 4096;

/** A part of a report that can be made to fit. */
export interface Section {
  /** Who gives way first: 1 before 2. Sections without a number are short and stay whole. */
  readonly shrinkOrder?: number;
  /** The section at its fullest within `room` bytes, else its shortest form. '' leaves it out. */
  readonly render: (room: number) => string;
}

/** A section that stays as it is. */
export function fixed(text: string): Section {
  return { render: () => text };
}

/**
 * The sections in order, blank lines between them, within `budget` bytes: in the order of `shrinkOrder`
 * each is cut to what the others leave, until all fits. What a later cut sets free goes back, to those first
 * that give way last.
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
 * `render(count)` for all of `total` parts where that fits within `room` bytes, else for as many as fit. `render`
 * says itself how many are missing.
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

/** Bytes of `text` in UTF-8. */
export function byteLength(text: string): number {
  // Encoding every short piece is what a large report would spend its time on.
  return BEYOND_ASCII.test(text) ? encoder.encode(text).length : text.length;
}

const BEYOND_ASCII = /[\u0080-\uffff]/;

const encoder = new TextEncoder();
const SEPARATOR = '\n\n';
const END = '\n';

function join(texts: readonly string[]): string {
  return `${texts.filter((text) => text !== '').join(SEPARATOR)}${END}`;
}

/** What texts of these sizes come to when they are joined. */
function sumJoined(sizes: readonly number[]): number {
  const filled = sizes.filter((size) => size > 0);
  const separators = Math.max(0, filled.length - 1) * SEPARATOR.length;
  return filled.reduce((sum, size) => sum + size, 0) + separators + END.length;
}
