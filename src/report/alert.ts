import { fitParts, type Section } from './budget.ts';

/** People read no more. */
const MAX_ITEMS = 20;

/**
 * Renders a GitHub alert with one item per line, a paragraph for a single one, nothing without items. Items are Markdown on one line; if room is
 * short, the last ones are left out.
 */
export function renderAlert(
  kind: 'CAUTION' | 'WARNING' | 'NOTE',
  { items, shrinkOrder }: { items: readonly string[]; shrinkOrder: number },
): Section {
  if (items.length === 0) return { render: () => '' };
  const mark = items.length === 1 ? '' : '- ';
  const render = (count: number) =>
    [
      `> [!${kind}]`,
      ...items.slice(0, count).map((item) => `> ${mark}${item}`),
      ...(count < items.length ? [`> - … and ${items.length - count} more`] : []),
    ].join('\n');
  return {
    shrinkOrder,
    render: (room) => fitParts(Math.min(items.length, MAX_ITEMS), { room, render }),
  };
}
