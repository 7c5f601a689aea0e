import { diffArrays } from 'diff';
import type { AttributeChange, Value } from '../terraform/attributes.ts';
import { CARRIAGE_RETURN } from './markdown.ts';

/**
 * Renders attribute changes as lines of a `diff` fence: `-` before, `+` after. Text of several lines and lists are
 * compared line by line, and shown with `context` unchanged lines around each change.
 */
export function renderAttributes(
  changes: readonly AttributeChange[],
  { context = CONTEXT }: { context?: number | undefined } = {},
): string {
  const own = changes.filter((change) => !isEcho(change, changes));
  const shown = own.filter(({ before, after }) => before.kind !== 'absent' || isKnown(after));
  const unknown = own.length - shown.length;
  const width = Math.max(0, ...shown.map(({ path }) => path.length).filter((size) => size <= 40));
  return [
    ...shown.flatMap((change) => renderAttribute(change, { width, context })),
    ...(unknown === 0 ? [] : [`  (${unknown} more known after apply)`]),
  ].join('\n');
}

/** The AWS provider repeats every tag in `tags_all`; only default tags are in `tags_all` alone. */
function isEcho({ path }: AttributeChange, changes: readonly AttributeChange[]): boolean {
  if (!/(^|\.)tags_all\b/.test(path)) return false;
  const twin = path.replace('tags_all', 'tags');
  return changes.some((change) => change.path === twin);
}

/** A value that the provider chooses at creation says nothing before. */
const isKnown = (value: Value): boolean => value.kind !== 'unknown';

function renderAttribute(
  change: AttributeChange,
  { width, context }: { width: number; context: number },
): string[] {
  const { path, before, after, forcesReplacement } = change;
  const reason = forcesReplacement ? '  # forces replacement' : '';
  const oldLines = toLines(before);
  const newLines = toLines(after);
  if (oldLines.length > 1 || newLines.length > 1) {
    return [`  ${path}:${reason}`, ...compareLines(oldLines, { after: newLines, context })];
  }
  const name = path.padEnd(width);
  return [
    ...oldLines.map((text) => `- ${name} = ${text}${newLines.length === 0 ? reason : ''}`),
    ...newLines.map((text) => `+ ${name} = ${text}${reason}`),
  ];
}

function toLines(value: Value): string[] {
  switch (value.kind) {
    case 'absent':
      return [];
    case 'unknown':
      return ['(known after apply)'];
    case 'sensitive':
      return ['(sensitive value)'];
    case 'known':
      return typeof value.value === 'string' ? toTextLines(value.value) : toJsonLines(value.value);
  }
}

/** Splits a document inside a string (a policy, a script) into its lines. */
function toTextLines(text: string): string[] {
  const nested = /^\s*[[{]/.test(text) ? parseJson(text) : undefined;
  if (nested !== undefined) return toJsonLines(nested);
  const lines = text.replace(/\n$/, '').split('\n');
  // A carriage return would begin an unmarked line, which could imitate a line of the diff.
  return lines.length === 1
    ? [JSON.stringify(text)]
    : lines.map((line) => line.replaceAll('\r', CARRIAGE_RETURN));
}

function toJsonLines(value: unknown): string[] {
  const short = JSON.stringify(value);
  return short.length <= 60 ? [short] : JSON.stringify(value, null, 2).split('\n');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const CONTEXT = 2;
/** If more lines than this change, the old text is shown as removed and the new one as added, each in one piece. */
const MAX_EDITS = 1_000;

/** Returns a line diff, unchanged runs shortened to their edges. */
function compareLines(
  before: readonly string[],
  { after, context }: { after: readonly string[]; context: number },
): string[] {
  const changes = diffArrays([...before], [...after], { maxEditLength: MAX_EDITS }) ?? [
    { value: [...before], removed: true, added: false },
    { value: [...after], removed: false, added: true },
  ];
  const marked = changes.flatMap(({ value, removed, added }) => {
    const mark = removed ? '-' : added ? '+' : ' ';
    return value.map((line) => `${mark}   ${line}`);
  });
  return shortenContext(marked, context);
}

function shortenContext(lines: readonly string[], context: number): string[] {
  const near = lines.map((_, index) =>
    lines
      .slice(Math.max(0, index - context), index + context + 1)
      .some((line) => !line.startsWith(' ')),
  );
  return lines.flatMap((line, index) => {
    if (near[index]) return [line];
    return near[index - 1] || index === 0 ? ['    …'] : [];
  });
}
