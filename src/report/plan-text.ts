import { cleanText } from '../messages/clean-text.ts';
import { byteLength, type Section } from './budget.ts';
import { CARRIAGE_RETURN, renderDetails, renderFence } from './markdown.ts';

/** A shorter excerpt of the plan is useless. */
const MIN_EXCERPT = 2_000;

/**
 * Renders Terraform's own wording of the plan, folded, as a coloured diff. It is cut at the end of a line to fit;
 * `whole` says in Markdown where to find all of it.
 */
export function renderPlanText(
  text: string,
  { shrinkOrder, whole }: { shrinkOrder: number; whole: string },
): Section {
  const lines = listLines(text);
  return {
    shrinkOrder,
    render: (room) => {
      // Only as much as there is room for is cleaned: most of several megabytes is never shown.
      const { taken: fitting, isAll } = takeLines(lines, room, toDiffLine);
      const full = isAll ? renderFold('The whole plan', fitting) : null;
      if (full !== null && byteLength(full) <= room) return full;
      // Runs of backticks widen the fence, so the room is found by trying.
      const frame = byteLength(renderFold('The plan’s beginning', [])) + byteLength(whole) + 4;
      for (let space = room - frame; space >= MIN_EXCERPT; space = Math.floor(space * 0.9)) {
        const { taken } = takeLines(fitting, space);
        const shortened = `${renderFold('The plan’s beginning', taken)}\n\n✂️ ${whole}`;
        if (taken.length > 0 && byteLength(shortened) <= room) return shortened;
      }
      return `✂️ The wording of the plan is left out to fit. ${whole}`;
    },
  };
}

function renderFold(title: string, lines: readonly string[]): string {
  return renderDetails(title, renderFence(lines.join('\n'), 'diff'));
}

/** Returns the lines of a text without empty ones at its ends. */
function listLines(text: string): string[] {
  const lines = text.split(/\r?\n/);
  const start = lines.findIndex((line) => line !== '');
  return start === -1 ? [] : lines.slice(start, lines.findLastIndex((line) => line !== '') + 1);
}

/** Moves Terraform's indented marks to the start of the line, by which GitHub colours a diff. */
function toDiffLine(text: string): string {
  const line = cleanText(text.replaceAll('\r', CARRIAGE_RETURN));
  return line.replace(/^( +)(-\/\+|\+\/-|[-+~])(?= )/, (_, indent: string, mark: string) =>
    mark === '+' || mark === '-' ? `${mark}${indent}` : `!${indent}${mark.replace('~', '')}`,
  );
}

/** Returns as many lines from the beginning, each passed through `change`, as fit into `space` bytes. */
function takeLines(
  lines: readonly string[],
  space: number,
  change = (line: string) => line,
): { taken: string[]; isAll: boolean } {
  const taken: string[] = [];
  let used = 0;
  for (const raw of lines) {
    const line = change(raw);
    used += byteLength(line) + 1;
    if (used > space) return { taken, isAll: false };
    taken.push(line);
  }
  return { taken, isAll: true };
}
