import type { AttributeChange, Value } from '../terraform/attributes.ts';
import { CARRIAGE_RETURN } from './markdown.ts';

/**
 * Attribute changes as lines of a `diff` fence: `-` before, `+` after. Text of several lines and lists
 * are compared line by line, only what differs and `context` unchanged lines around it shown.
 */
export function renderAttributes(
  changes: readonly AttributeChange[],
  { context = CONTEXT }: { context?: number | undefined } = {},
): string {
  const own = changes.filter((change) => !isEcho(change, changes));
  const shown = own.filter(({ before, after }) => before.kind !== 'absent' || isTold(after));
  const untold = own.length - shown.length;
  const width = Math.max(0, ...shown.map(({ path }) => path.length).filter((size) => size <= 40));
  return [
    ...shown.flatMap((change) => renderAttribute(change, { width, context })),
    ...(untold === 0 ? [] : [`  (${untold} more known after apply)`]),
  ].join('\n');
}

/** The AWS provider repeats every tag in `tags_all`; only the default tags are there alone. */
function isEcho({ path }: AttributeChange, changes: readonly AttributeChange[]): boolean {
  if (!/(^|\.)tags_all\b/.test(path)) return false;
  const twin = path.replace('tags_all', 'tags');
  return changes.some((change) => change.path === twin);
}

/** What a new resource gets from the provider says nothing before it is there. */
const isTold = (value: Value): boolean => value.kind !== 'unknown';

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

/** A document inside a string (a policy, a script) is read by its lines. */
function toTextLines(text: string): string[] {
  const nested = /^\s*[[{]/.test(text) ? parseJson(text) : undefined;
  if (nested !== undefined) return toJsonLines(nested);
  const lines = text.replace(/\n$/, '').split('\n');
  // A carriage return would begin a line without a mark, which could pass for one of the diff's own.
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
/** Above this many line pairs the middle is shown as removed and added whole. */
const MAX_PAIRS = 250_000;

/** A line diff (longest common subsequence), unchanged runs shortened to their edges. */
function compareLines(
  before: readonly string[],
  { after, context }: { after: readonly string[]; context: number },
): string[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (
    end < Math.min(before.length, after.length) - start &&
    before.at(-1 - end) === after.at(-1 - end)
  ) {
    end++;
  }
  const middle = compareMiddle(
    before.slice(start, before.length - end),
    after.slice(start, after.length - end),
  );
  const marked = [
    ...before.slice(0, start).map((line) => `    ${line}`),
    ...middle,
    ...before.slice(before.length - end).map((line) => `    ${line}`),
  ];
  return shortenContext(marked, context);
}

function compareMiddle(before: readonly string[], after: readonly string[]): string[] {
  const remove = (line: string) => `-   ${line}`;
  const add = (line: string) => `+   ${line}`;
  if (before.length * after.length > MAX_PAIRS) return [...before.map(remove), ...after.map(add)];

  const common = measureCommon(before, after);
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      lines.push(`    ${before[i]}`);
      i++;
      j++;
    } else if ((common[i + 1]?.[j] ?? 0) >= (common[i]?.[j + 1] ?? 0)) {
      lines.push(remove(before[i++] ?? ''));
    } else {
      lines.push(add(after[j++] ?? ''));
    }
  }
  return [...lines, ...before.slice(i).map(remove), ...after.slice(j).map(add)];
}

/** `[i][j]`: how many lines `before` from i and `after` from j have in common, in order. */
function measureCommon(before: readonly string[], after: readonly string[]): Uint32Array[] {
  const common = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  for (let i = before.length - 1; i >= 0; i--) {
    const row = common[i] as Uint32Array;
    const below = common[i + 1] as Uint32Array;
    for (let j = after.length - 1; j >= 0; j--) {
      row[j] =
        before[i] === after[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
    }
  }
  return common;
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
