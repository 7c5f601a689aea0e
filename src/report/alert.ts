import { fitParts, type Section } from './budget.ts';

/** Alarms are for people: after this many the reader knows. */
const MAX_ITEMS = 20;

/**
 * A GitHub alert with one item a line, left out when there is none. Items are Markdown of one line;
 * where room is short the last ones give way.
 */
export function renderAlert(
  kind: 'CAUTION' | 'WARNING' | 'NOTE',
  { items, shrinkOrder }: { items: readonly string[]; shrinkOrder: number },
): Section {
  if (items.length === 0) return { render: () => '' };
  const render = (count: number) =>
    [
      `> [!${kind}]`,
      ...items.slice(0, count).map((item) => `> - ${item}`),
      ...(count < items.length ? [`> - … and ${items.length - count} more`] : []),
    ].join('\n');
  return {
    shrinkOrder,
    render: (room) => fitParts(Math.min(items.length, MAX_ITEMS), { room, render }),
  };
}
