import { byteLength, type Section } from './budget.ts';
import { CARRIAGE_RETURN, cleanText, renderDetails, renderFence } from './markdown.ts';

/** Below this a piece of the plan helps nobody. */
const MIN_EXCERPT = 2_000;

/**
 * Terraform's own wording of the plan, folded, as a coloured diff. What does not fit is cut at the end
 * of a line; `whole` says in Markdown where all of it is.
 */
export function renderPlanText(
  text: string,
  { shrinkOrder, whole }: { shrinkOrder: number; whole: string },
): Section {
  const lines = listLines(text);
  return {
    shrinkOrder,
    render: (room) => {
      // Cleaned as far as there is room: of megabytes most is never shown.
      const { taken: fitting, isAll } = takeLines(lines, room, toDiffLine);
      const full = isAll ? renderFold('The whole plan', fitting) : null;
      if (full !== null && byteLength(full) <= room) return full;
      // Room for the fence and its widening by runs of backticks is found by trying.
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

/** The lines of a text without the empty ones around it. */
function listLines(text: string): string[] {
  const lines = text.split(/\r?\n/);
  const start = lines.findIndex((line) => line !== '');
  return start === -1 ? [] : lines.slice(start, lines.findLastIndex((line) => line !== '') + 1);
}

/** GitHub colours a diff by the first character of a line; Terraform indents its marks. */
function toDiffLine(text: string): string {
  const line = cleanText(text.replaceAll('\r', CARRIAGE_RETURN));
  return line.replace(/^( +)(-\/\+|\+\/-|[-+~])(?= )/, (_, indent: string, mark: string) =>
    mark === '+' || mark === '-' ? `${mark}${indent}` : `!${indent}${mark.replace('~', '')}`,
  );
}

/** As many lines from the beginning, each as `change` makes it, as `space` bytes hold, and whether that is all. */
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
