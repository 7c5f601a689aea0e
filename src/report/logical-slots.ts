import type { SlotFate } from '../cluster/rollout/logical-slots.ts';
import { fitParts, fixed, type Section } from './budget.ts';
import { countNoun, renderCode, renderTable } from './markdown.ts';

const FATES: Readonly<Record<SlotFate['fate'], string>> = {
  kept: 'stays as it is',
  synchronised: 'goes along: the next primary has a copy',
  lost: '**lost**: its consumer needs a new slot and a fresh copy',
  invalid: 'cannot be read from any more, whatever happens; drop it',
};

/** Renders the fate of the primary's logical slots as a table; '' without slots. `whole` says where to find all. */
export function renderLogicalSlots(
  slots: readonly SlotFate[],
  { shrinkOrder, whole }: { shrinkOrder: number; whole: string },
): Section {
  if (slots.length === 0) return fixed('');
  const rows = slots.map(({ name, database, plugin, active, fate }) => [
    renderCode(name),
    FATES[fate],
    renderCode(database),
    renderCode(plugin),
    active ? 'connected' : 'not connected',
  ]);
  const render = (count: number) =>
    [
      '#### Logical slots',
      count === 0
        ? ''
        : renderTable(
            ['slot', 'what becomes of it', 'database', 'plugin', 'consumer'],
            rows.slice(0, count),
          ),
      count === rows.length
        ? ''
        : `✂️ Left out to fit: ${countNoun(rows.length - count, 'slot')}. ${whole}`,
    ]
      .filter((text) => text !== '')
      .join('\n\n');
  return { shrinkOrder, render: (room) => fitParts(rows.length, { room, render }) };
}
