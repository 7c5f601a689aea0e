import { byteLength, type Section } from './budget.ts';
import { countNoun, renderDetails } from './markdown.ts';

/** A list item that can be shown with more or fewer details. Markdown. */
export interface ListEntry {
  /** The list item without details. */
  readonly line: string;
  /** The item with folded details, the fullest form first; [] without details. */
  readonly detailed: readonly (() => string)[];
}

/** Entries under one fold. */
export interface EntryGroup {
  /** HTML. */
  readonly title: string;
  readonly entries: readonly ListEntry[];
  /** What the title counts; absent: the entries. */
  readonly count?: number;
  /** Whether the group's fold is open; absent: the group has no fold. */
  readonly open?: boolean;
}

/**
 * Renders groups of entries in order, below a heading or inside one fold (`summary`, HTML). If room is short, all details take their shorter form first, then
 * details are left out from the end of the list, then names, also from the end. `whole` says in Markdown where to find
 * everything.
 */
export function renderGroups(options: {
  frame: GroupFrame;
  groups: readonly EntryGroup[];
  shrinkOrder: number;
  whole: string;
}): Section {
  const { frame, shrinkOrder, whole } = options;
  const groups = options.groups.filter(({ entries }) => entries.length > 0);
  if (groups.length === 0) return { render: () => '' };
  const size = byteLength(renderFrame(frame, '')) + 4;
  return {
    shrinkOrder,
    render: (room) => {
      const { texts, note } = fitEntries(groups, { room: room - size, whole });
      return renderFrame(frame, [...texts, note].filter((text) => text !== '').join('\n\n'));
    },
  };
}

/** What stands around all groups: a heading in Markdown, or a fold with a summary in HTML. */
export type GroupFrame =
  | { readonly heading: string }
  | { readonly summary: string; readonly open: boolean };

function renderFrame(frame: GroupFrame, body: string): string {
  return 'heading' in frame
    ? `${frame.heading}\n\n${body}`
    : renderDetails(frame.summary, body, { open: frame.open });
}

function fitEntries(
  groups: readonly EntryGroup[],
  { room, whole }: { room: number; whole: string },
): { texts: string[]; note: string } {
  const entries = groups.flatMap((group) => group.entries);
  const frame = byteLength(groups.map((group) => renderGroup(group, [])).join('\n\n'));
  const longestNote = byteLength(
    renderNote({ names: entries.length, details: 0, isTerse: true, whole }),
  );
  const space = room - frame - longestNote - 2;

  const names = countFitting(
    entries.map(({ line }) => byteLength(line) + 2),
    space,
  );
  const named = entries.slice(0, names);
  const full = fillDetails(named, { space, form: 0 });
  const isTerse = full.missing > 0 && named.some(({ detailed }) => detailed.length > 1);
  const { shown, missing: details } = isTerse ? fillDetails(named, { space, form: 1 }) : full;

  let start = 0;
  const texts = groups.map((group) => {
    const part = shown.slice(start, start + group.entries.length);
    start += group.entries.length;
    return renderGroup(group, part);
  });
  const note = renderNote({ names: entries.length - names, details, isTerse, whole });
  return { texts, note };
}

/** Smaller than any detail: with less space left, no more are tried. */
const MIN_DETAIL = 64;
/** A large detail must not keep smaller ones out, but thousands are not rendered for the last bytes. */
const MAX_OVERSIZED = 50;

/** Returns the entries with as many details as fit, each in the given form or its shortest. */
function fillDetails(
  entries: readonly ListEntry[],
  { space, form }: { space: number; form: number },
): { shown: string[]; missing: number } {
  let used = entries.reduce((sum, { line }) => sum + byteLength(line) + 2, 0);
  let missing = 0;
  const shown = entries.map(({ line, detailed }) => {
    const render = detailed[Math.min(form, detailed.length - 1)];
    if (render === undefined) return line;
    const isFull = space - used < MIN_DETAIL || missing >= MAX_OVERSIZED;
    const text = isFull ? null : render();
    const more = text === null ? Number.POSITIVE_INFINITY : byteLength(text) - byteLength(line);
    if (text === null || used + more > space) {
      missing++;
      return line;
    }
    used += more;
    return text;
  });
  return { shown, missing };
}

function renderGroup(
  { title, open, entries, count }: EntryGroup,
  shown: readonly string[],
): string {
  const missing = shown.length < entries.length ? `, ${shown.length} shown` : '';
  const label = `${title} (${count ?? entries.length}${missing})`;
  const body = joinEntries(shown);
  return open === undefined ? `**${label}**\n\n${body}` : renderDetails(label, body, { open });
}

/** Joins list items without, folds with a blank line between them. */
function joinEntries(texts: readonly string[]): string {
  return texts
    .map((text, index) => {
      const tight = text.startsWith('- ') && texts[index - 1]?.startsWith('- ');
      return index === 0 ? text : `${tight ? '\n' : '\n\n'}${text}`;
    })
    .join('');
}

function renderNote(cut: {
  names: number;
  details: number;
  isTerse: boolean;
  whole: string;
}): string {
  const parts = [
    ...(cut.names === 0 ? [] : [`${cut.names} of the names`]),
    ...(cut.details === 0 ? [] : [`the attributes of ${countNoun(cut.details, 'resource')}`]),
    ...(cut.isTerse ? ['the unchanged lines around changes'] : []),
  ];
  return parts.length === 0 ? '' : `✂️ Left out to fit: ${parts.join(', ')}. ${cut.whole}`;
}

function countFitting(sizes: readonly number[], space: number): number {
  let used = 0;
  const cut = sizes.findIndex((size) => {
    used += size;
    return used > space;
  });
  return cut === -1 ? sizes.length : cut;
}
