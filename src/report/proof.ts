import type { NodeProof } from '../cluster/proof.ts';
import { formatBytes } from '../messages/quantities.ts';
import { fitParts, fixed, type Section } from './budget.ts';
import { formatUse } from './capacity.ts';
import { describeProofFaults } from './faults.ts';
import { countNoun, renderCode, renderTable, renderText, shortenText } from './markdown.ts';

/**
 * Renders the nodes' answers to the replication test as a table; the last rows are left out to fit. A data volume whose
 * use is at or above `alertPercent` is a warning. `hasBackups`: the cluster archives for its backups.
 */
export function renderProof(
  proof: readonly NodeProof[],
  {
    shrinkOrder,
    alertPercent = Number.POSITIVE_INFINITY,
    hasBackups = false,
  }: { shrinkOrder: number; alertPercent?: number; hasBackups?: boolean },
): Section {
  const alert = { storageAlertPercent: alertPercent, hasBackups };
  if (proof.length === 0) return fixed('');
  const columns = COLUMNS.filter(({ isShown }) => isShown?.(proof) ?? true);
  const rows = proof.map((node) => columns.map(({ render }) => render(node)));
  const header = columns.map(({ title }) => title);
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
      count === 0 ? '' : renderTable(header, rows.slice(0, count)),
      describeCommon(proof),
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

interface Column {
  readonly title: string;
  /** Returns Markdown. */
  readonly render: (node: NodeProof) => string;
  /** Absent: always. A column in which every node is as it should be is left out, so that a phone shows the others. */
  readonly isShown?: (proof: readonly NodeProof[]) => boolean;
}

const isStateExpected = ({ role, state }: NodeProof): boolean =>
  state === (role === 'primary' ? 'running' : 'streaming');
const isTimelineCommon = (proof: readonly NodeProof[]): boolean =>
  new Set(proof.map(({ timeline }) => timeline)).size === 1 && proof[0]?.timeline !== null;
const isTokenRead = (proof: readonly NodeProof[]): boolean =>
  proof.every(({ tokenRead }) => tokenRead);

const COLUMNS: readonly Column[] = [
  { title: 'node', render: ({ name }) => renderCode(name) },
  { title: 'role', render: ({ role }) => (role === 'primary' ? '**primary**' : 'replica') },
  {
    title: 'state',
    render: ({ state }) => renderText(shortenText(state, 100)),
    isShown: (proof) => !proof.every(isStateExpected),
  },
  { title: 'lag', render: renderLag },
  {
    title: 'test row',
    render: ({ tokenRead }) => (tokenRead ? '✅' : '❌'),
    isShown: (proof) => !isTokenRead(proof),
  },
  {
    title: 'timeline',
    render: ({ timeline }) => `${timeline ?? '–'}`,
    isShown: (proof) => !isTimelineCommon(proof),
  },
  { title: 'disk', render: ({ storage }) => (storage === null ? '–' : formatUse(storage)) },
  { title: 'address', render: ({ address }) => renderCode(address) },
];

/** Says what the columns that are left out would say of every node. */
function describeCommon(proof: readonly NodeProof[]): string {
  const parts = [
    ...(isTokenRead(proof) ? ['every node has the test row that the primary wrote'] : []),
    ...(isTimelineCommon(proof) ? [`timeline ${proof[0]?.timeline}`] : []),
    ...proof.flatMap(({ archivedWal }) =>
      archivedWal === null ? [] : [`WAL ${renderText(archivedWal)} is archived`],
    ),
  ];
  return parts.length === 0 ? '' : `<sub>Proved: ${parts.join(', ')}.</sub>`;
}

/** Returns e.g. `0 B` or `1.5 MiB · 2.0 s`; a dash for a node without a lag. */
function renderLag({ lagBytes, lagSeconds }: NodeProof): string {
  if (lagBytes === null) return '–';
  return lagSeconds === null || lagSeconds < 0.1
    ? formatBytes(lagBytes)
    : `${formatBytes(lagBytes)} · ${lagSeconds.toFixed(1)} s`;
}
