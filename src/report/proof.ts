import type { NodeProof } from '../cluster/proof.ts';
import { formatBytes } from '../messages/quantities.ts';
import { fitParts, fixed, type Section } from './budget.ts';
import { formatUse } from './capacity.ts';
import { describeProofFaults } from './faults.ts';
import { countNoun, renderCode, renderTable, renderText, shortenText } from './markdown.ts';

/**
 * Renders the nodes' answers to the replication test as a table; the last rows are left out to fit. A data volume whose
 * use is at or above `alertPercent` is a warning.
 */
export function renderProof(
  proof: readonly NodeProof[],
  {
    shrinkOrder,
    alertPercent = Number.POSITIVE_INFINITY,
  }: { shrinkOrder: number; alertPercent?: number },
): Section {
  const alert = { storageAlertPercent: alertPercent };
  if (proof.length === 0) return fixed('');
  const rows = proof.map((node) => [
    renderCode(node.name),
    node.role === 'primary' ? '**primary**' : 'replica',
    renderCode(node.address),
    renderText(shortenText(node.state, 100)),
    `${node.timeline ?? '–'}`,
    renderLag(node),
    node.storage === null ? '–' : formatUse(node.storage),
    node.tokenRead ? '✅' : '❌',
  ]);
  const render = (count: number) => {
    const problems = proof
      .slice(0, count)
      .flatMap((node) => [
        ...(node.problem === null
          ? []
          : [`- ❌ ${renderCode(node.name)}: ${renderText(shortenText(node.problem))}`]),
        ...describeProofFaults(node, alert).map((text) => `- ⚠️ ${renderText(text)}`),
      ]);
    return [
      count === 0 ? '' : renderTable(HEADER, rows.slice(0, count)),
      problems.join('\n'),
      count === rows.length
        ? ''
        : `✂️ Left out to fit: ${rows.length - count} of ${countNoun(rows.length, 'node')}. The job summary has them.`,
    ]
      .filter((text) => text !== '')
      .join('\n\n');
  };
  return { shrinkOrder, render: (room) => fitParts(rows.length, { room, render }) };
}

const HEADER = ['node', 'role', 'address', 'state', 'timeline', 'lag', 'disk', 'test row'];

/** Returns e.g. `0 B` or `1.5 MiB · 2.0 s`; a dash for a node without a lag. */
function renderLag({ lagBytes, lagSeconds }: NodeProof): string {
  if (lagBytes === null) return '–';
  return lagSeconds === null || lagSeconds < 0.1
    ? formatBytes(lagBytes)
    : `${formatBytes(lagBytes)} · ${lagSeconds.toFixed(1)} s`;
}
