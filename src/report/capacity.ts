import { type KeptDirectory, type NodeObservation, sumKept } from '../cluster/observation.ts';
import type { SpaceUse } from '../cluster/proof.ts';
import { formatBytes } from '../messages/quantities.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { renderCode, renderTable } from './markdown.ts';

/** A node and what it stores. */
export type NodeStorage = Pick<NodeObservation, 'name' | 'storage'>;

/** How full the nodes are. */
export interface CapacityReport {
  /** The observed nodes. */
  readonly nodes: readonly NodeStorage[];
  /** Use of a data volume, in percent of its capacity, from which it is reported. */
  readonly alertPercent: number;
}

/** Returns the used part of a file system in whole percent, rounded down: 80 only if a threshold of 80 is reached. */
export function usedPercent({ usedBytes, capacityBytes }: SpaceUse): number {
  return capacityBytes === 0 ? 0 : Math.floor((100 * usedBytes) / capacityBytes);
}

/** Returns e.g. `12.5 of 20.0 GiB (62 %)`; plain text. */
export function formatUse(space: SpaceUse): string {
  const [used, capacity] = [formatBytes(space.usedBytes), formatBytes(space.capacityBytes)];
  const unit = / \w+$/.exec(capacity)?.[0] ?? '';
  const short = used.endsWith(unit) ? used.slice(0, -unit.length) : used;
  return `${short} of ${capacity} (${usedPercent(space)} %)`;
}

/**
 * Returns the use of data volumes that `plan` changes or that are nearly full, as rows of a table, and what was kept on the
 * nodes, with the command that deletes it, as items of a list; Markdown.
 */
export function listCapacity(
  { nodes, alertPercent }: CapacityReport,
  plan: Pick<PlanSummary, 'resources'>,
): { readonly rows: readonly string[][]; readonly items: readonly string[] } {
  const changed = listChangedVolumes(plan);
  const rows = nodes.flatMap(({ name, storage: { data } }) => {
    if (data === null) return [];
    const isFull = usedPercent(data) >= alertPercent;
    if (!isFull && !changed.has(name)) return [];
    return [[renderCode(name), `${formatUse(data)}${isFull ? ' ⚠️' : ''}`]];
  });
  return { rows, items: nodes.flatMap(describeKept) };
}

/** Returns the names of nodes whose data volume `plan` changes in place. */
function listChangedVolumes({ resources }: Pick<PlanSummary, 'resources'>): Set<string> {
  const volumes = resources.filter(
    ({ type, name, action }) => type === 'aws_ebs_volume' && name === 'data' && action === 'update',
  );
  return new Set(volumes.map(({ index }) => `node-${index}`));
}

/** Kept directories that are named; the action keeps one per copy of a former primary. */
const MAX_KEPT = 5;

/** Returns the directories that were kept on a node, as a list item in Markdown; [] without any. */
function describeKept({ name, storage: { kept } }: NodeStorage): string[] {
  if (kept.length === 0) return [];
  const shown = kept
    .slice(0, MAX_KEPT)
    .map((one) => `${renderCode(one.name)} (${formatBytes(one.bytes)})`);
  const rest = kept.length - shown.length;
  const more = rest === 0 ? '' : ` and ${rest} more`;
  const total = kept.length === 1 ? '' : `, ${formatBytes(sumKept(kept))} in all`;
  return [
    `- ${renderCode(name)} keeps ${shown.join(', ')}${more}${total}. ${explainKept(kept)} \`command: discard\` with \`discard: ${name}\` deletes ${kept.length === 1 ? 'it' : 'them'}.`,
  ];
}

function explainKept(kept: readonly KeptDirectory[]): string {
  return kept.some(({ formerPrimary }) => formerPrimary)
    ? '**Data of a former primary may hold rows that no other node has:** make sure that none is missing first.'
    : 'Nothing marks it as data of a former primary.';
}

/** A node and the use of its data volume; null where it was not measured. */
export interface NodeUse {
  readonly name: string;
  readonly space: SpaceUse | null;
}

/** Renders a bar per data volume for a job summary, the numbers first; '' if none was measured. Markdown. */
export function renderUseBars(nodes: readonly NodeUse[]): string {
  const rows = nodes.flatMap(({ name, space }) =>
    space === null ? [] : [[renderCode(name), formatUse(space), renderBar(usedPercent(space))]],
  );
  return rows.length === 0 ? '' : `#### Data volumes\n\n${renderTable(['node', 'used', ''], rows)}`;
}

const CELLS = 10;

/** Renders e.g. `██████░░░░`; a cell is filled from its middle on. */
function renderBar(percent: number): string {
  const filled = Math.min(CELLS, Math.round((percent * CELLS) / 100));
  return `\`${'█'.repeat(filled)}${'░'.repeat(CELLS - filled)}\``;
}
