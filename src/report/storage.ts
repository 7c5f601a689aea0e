import { compareNames } from '../cluster/node.ts';
import { VOLUME_UNITS } from '../cluster/volume.ts';
import { listSome } from '../messages/list-some.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { listShrinks, listVolumeChanges, type VolumeChange } from '../terraform/volume-changes.ts';
import { fitParts, fixed, type Section } from './budget.ts';
import { type CapacityReport, listCapacity } from './capacity.ts';
import { countNoun, renderTable, renderText } from './markdown.ts';

/** A cluster has at most 16 nodes. */
const MAX_NODES = 16;

/**
 * Renders what `plan` changes of volumes in place, how full they are, and what was kept on the nodes; '' without any. The
 * changes stop neither an instance nor PostgreSQL, so they are no risk. `whole` says in Markdown where to find what is left
 * out.
 */
export function renderStorage(
  { plan, capacity }: { plan: PlanSummary; capacity: CapacityReport },
  { shrinkOrder, whole }: { shrinkOrder: number; whole: string },
): Section {
  const changes = describeVolumeChanges(plan).map((text) => `- ${renderText(text)}`);
  const { rows, items } = listCapacity(capacity, plan);
  const total = changes.length + rows.length + items.length;
  if (total === 0) return fixed('');
  const render = (count: number) => {
    const room = count - changes.length;
    const shown = rows.slice(0, Math.max(0, room));
    return [
      '#### Storage',
      changes.slice(0, count).join('\n'),
      shown.length === 0 ? '' : renderTable(['node', 'data volume, now'], shown),
      items.slice(0, Math.max(0, room - rows.length)).join('\n'),
      count === total ? '' : `✂️ Left out to fit: ${countNoun(total - count, 'line')}. ${whole}`,
    ]
      .filter((text) => text !== '')
      .join('\n\n');
  };
  return { shrinkOrder, render: (room) => fitParts(total, { room, render }) };
}

/**
 * Describes the changes of volumes in place in plain text, e.g. `data volumes: 20 GiB → 40 GiB on node-1, node-2 (no
 * pause)`: one line for all nodes with the same change. Shrinks are refused and have no line.
 */
export function describeVolumeChanges(plan: PlanSummary): string[] {
  const shrinks = listShrinks(plan);
  const isShrink = (one: VolumeChange) =>
    one.attribute === 'size' &&
    shrinks.some(({ node, kind }) => node === one.node && kind === one.kind);
  const nodes = new Map<string, string[]>();
  for (const change of listVolumeChanges(plan)) {
    if (isShrink(change)) continue;
    const text = describe(change);
    nodes.set(text, [...(nodes.get(text) ?? []), change.node]);
  }
  return [...nodes].map(
    ([text, names]) =>
      `${text} on ${listSome([...names].sort(compareNames), MAX_NODES)} (no pause)`,
  );
}

function describe({ kind, attribute, before, after }: VolumeChange): string {
  const unit = VOLUME_UNITS[attribute];
  return `${kind} volumes: ${before} ${unit} → ${after} ${unit}`;
}
