import { byteLength, type Section } from './budget.ts';
import { CARRIAGE_RETURN, cleanText, renderDetails, renderFence } from './markdown.ts';

/** Below this a piece of the plan helps nobody. */
const SMALLEST = 2_000;

/**
 * Terraform's own wording of the plan, folded, as a coloured diff. What does not fit is cut at the end
 * of a line; `whole` says in Markdown where all of it is.
 */
export function renderPlanText(
  text: string,
  { givesWay, whole }: { givesWay: number; whole: string },
): Section {
  const lines = toDiffLines(text);
  return {
    givesWay,
    render: (room) => {
      const full = renderFold('The whole plan', lines);
      if (byteLength(full) <= room) return full;
      // Room for the fence and its widening by runs of backticks is found by trying.
      const frame = byteLength(renderFold('The plan’s beginning', [])) + byteLength(whole) + 4;
      for (let space = room - frame; space >= SMALLEST; space = Math.floor(space * 0.9)) {
        const taken = takeLines(lines, space);
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

/** GitHub colours a diff by the first character of a line; Terraform indents its marks. */
function toDiffLines(text: string): string[] {
  return cleanText(text.replace(/\r(?!\n)/g, CARRIAGE_RETURN))
    .replace(/^\n+|\n+$/g, '')
    .split('\n')
    .map((line) =>
      line.replace(/^( +)(-\/\+|\+\/-|[-+~])(?= )/, (_, indent: string, mark: string) =>
        mark === '+' || mark === '-' ? `${mark}${indent}` : `!${indent}${mark.replace('~', '')}`,
      ),
    );
}

function takeLines(lines: readonly string[], space: number): string[] {
  let used = 0;
  const cut = lines.findIndex((line) => {
    used += byteLength(line) + 1;
    return used > space;
  });
  return cut === -1 ? [...lines] : lines.slice(0, cut);
}
