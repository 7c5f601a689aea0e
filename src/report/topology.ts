import { NOT_PROVED, type NodeProof } from '../cluster/proof.ts';
import type { Consequence, NodeState, TopologyChange } from '../cluster/rollout/topology.ts';
import { cleanText } from '../messages/clean-text.ts';
import { formatBytes } from '../messages/quantities.ts';
import { fitParts, fixed, type Section } from './budget.ts';
import { countNoun, renderCode, renderTable } from './markdown.ts';

/**
 * Renders every node before and after as a table, nothing without nodes or if nothing is known about them. Columns in
 * which nothing differs are left out, so that a phone shows the others. `whole` says where to find all of it.
 */
export function renderTopology(
  topology: readonly TopologyChange[],
  { shrinkOrder, whole }: { shrinkOrder: number; whole: string },
): Section {
  const columns = COLUMNS.filter(({ isShown }) => isShown(topology));
  if (topology.length === 0 || columns.length === 0) return fixed('');
  const header = ['node', ...columns.map(({ title }) => title)];
  const rows = topology.map((change) => [
    renderCode(change.name),
    ...columns.map(({ render }) => render(change)),
  ]);
  const render = (count: number) =>
    [
      '#### Nodes',
      count === 0 ? '' : renderTable(header, rows.slice(0, count)),
      count === rows.length
        ? ''
        : `✂️ Left out to fit: ${countNoun(rows.length - count, 'node')}. ${whole}`,
    ]
      .filter((text) => text !== '')
      .join('\n\n');
  return { shrinkOrder, render: (room) => fitParts(rows.length, { room, render }) };
}

interface Column {
  readonly title: string;
  readonly isShown: (topology: readonly TopologyChange[]) => boolean;
  /** Returns Markdown. */
  readonly render: (change: TopologyChange) => string;
}

const isNew = ({ before }: TopologyChange): boolean => before === null;

/** Builds a column whose value a node has before and after. `write` returns Markdown, null for an unknown value. */
function buildColumn(
  title: string,
  write: (state: NodeState) => string | null,
  isShown: (topology: readonly TopologyChange[]) => boolean = () => false,
): Column {
  const values = ({ before, after }: TopologyChange) =>
    [before, after].map((state) => (state === null ? null : write(state)));
  const changes = (change: TopologyChange) => {
    const [was = null, is = null] = values(change);
    return was !== null && is !== null && was !== is;
  };
  // Where the nodes differ, or one of them changes.
  const differs = (topology: readonly TopologyChange[]) =>
    topology.some(changes) ||
    new Set(topology.flatMap(({ after }) => (after === null ? [] : [write(after)]))).size > 1;
  return {
    title,
    isShown: (topology) => isShown(topology) || differs(topology),
    render: (change) => renderChange(change, write),
  };
}

/** In the order in which a phone cuts them off, from the end. */
const COLUMNS: readonly Column[] = [
  {
    title: 'what happens',
    isShown: (topology) =>
      topology.some(({ consequence }) => consequence !== null) && !topology.every(isNew),
    render: ({ consequence }) => renderConsequence(consequence),
  },
  buildColumn(
    'role',
    ({ role }) => role,
    (topology) =>
      topology.some(({ before, after }) => (before?.role ?? after?.role ?? null) !== null),
  ),
  {
    title: 'zone',
    // A zone never changes: it matters where a node is placed.
    isShown: (topology) => topology.some(isNew),
    render: (change) => renderChange(change, ({ zone }) => zone && renderCode(zone)),
  },
  buildColumn('type', ({ instanceType }) => instanceType && renderCode(instanceType)),
  buildColumn('image', ({ image }) => image && renderCode(shorten(image))),
];

/** Renders `old → new`, or one value if it stays the same. `write` returns Markdown, null for an unknown value. */
function renderChange(
  { before, after }: TopologyChange,
  write: (state: NodeState) => string | null,
): string {
  const was = before === null ? null : write(before);
  const is = after === null ? null : write(after);
  // An unknown value is not a change.
  if (was === null || is === null || was === is) return is ?? was ?? '–';
  return `${was} → ${is}`;
}

const CONSEQUENCES: Readonly<Record<Consequence, string>> = {
  untouched: 'untouched',
  reloaded: 'reloaded',
  promoted: '**becomes the primary**',
  restarted: '**restarted**',
  resized: '**resized**',
  replaced: '**another instance**',
  're-cloned': '**cloned again**',
  new: '**new**',
  removed: '**removed**',
};

function renderConsequence(consequence: Consequence | null): string {
  return consequence === null ? 'not known' : CONSEQUENCES[consequence];
}

/** Returns e.g. `sha256:0123456789ab`; a reference stays whole. */
function shorten(image: string): string {
  return /^sha256:[0-9a-f]{13,}$/.test(image) ? image.slice(0, 'sha256:'.length + 12) : image;
}

/** Renders before and after as Mermaid diagrams in Markdown, which GitHub draws in a job summary; '' without nodes. */
export function renderTopologyDiagram(topology: readonly TopologyChange[]): string {
  if (topology.length === 0) return '';
  const draw = (title: string, pick: (change: TopologyChange) => NodeState | null) => {
    const nodes = topology.flatMap((change) => {
      const state = pick(change);
      return state === null ? [] : [{ name: change.name, state }];
    });
    return nodes.length === 0
      ? ''
      : `**${title}**\n\n${renderDiagram(
          nodes.map(({ name, state }) => ({
            name,
            role: state.role,
            lines: [state.instanceType ?? '', state.zone ?? ''],
          })),
        )}`;
  };
  return [draw('Before', ({ before }) => before), draw('After', ({ after }) => after)]
    .filter((text) => text !== '')
    .join('\n\n');
}

/** Renders the proof as a Mermaid diagram with the lag on the edges; '' before the proof. Markdown. */
export function renderProofDiagram(proof: readonly NodeProof[]): string {
  if (proof.length === 0) return '';
  // What a node outside the proof follows is not known.
  const proved = proof.filter(({ state }) => state !== NOT_PROVED);
  return renderDiagram(
    proved.map(({ name, role, address, lagBytes }) => ({
      name,
      role,
      lines: [address],
      lag: lagBytes === null ? null : `${formatBytes(lagBytes)} behind`,
    })),
  );
}

interface Drawn {
  readonly name: string;
  readonly role: 'primary' | 'replica' | null;
  readonly lines: readonly string[];
  readonly lag?: string | null;
}

function renderDiagram(nodes: readonly Drawn[]): string {
  const id = (name: string) => name.replace(/\W/g, '_');
  const primary = nodes.find(({ role }) => role === 'primary');
  const boxes = nodes.map(({ name, role, lines }) => {
    const label = [name, role ?? '', ...lines].filter((line) => line !== '').map(encodeLabel);
    return role === 'primary'
      ? `  ${id(name)}[("<b>${label.join('<br/>')}</b>")]`
      : `  ${id(name)}[("${label.join('<br/>')}")]`;
  });
  const edges = nodes
    .filter(({ role }) => primary !== undefined && role === 'replica')
    .map(({ name, lag }) => {
      const label = lag ? `|"${encodeLabel(lag)}"|` : '';
      return `  ${id(primary?.name ?? '')} -->${label} ${id(name)}`;
    });
  return ['```mermaid', 'flowchart LR', ...boxes, ...edges, '```'].join('\n');
}

/**
 * Encodes a quoted label, in which only entities are safe (Mermaid's syntax of flowcharts, "Entity codes to escape
 * characters").
 */
function encodeLabel(text: string): string {
  return cleanText(text)
    .replace(/\s+/g, ' ')
    .replace(/[^\w .:/-]/gu, (character) => `#${character.codePointAt(0)};`);
}
