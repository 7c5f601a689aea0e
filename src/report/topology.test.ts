import { describe, expect, test } from 'vitest';
import type { NodeState, TopologyChange } from '../cluster/rollout/topology.ts';
import { createProof } from './fixtures/report.ts';
import { renderProofDiagram, renderTopology, renderTopologyDiagram } from './topology.ts';

const state: NodeState = {
  role: 'replica',
  zone: 'us-east-1a',
  instanceType: 't3.medium',
  image: `sha256:${'0123456789abcdef'.repeat(4)}`,
};
const change = (overrides: Partial<TopologyChange>): TopologyChange => ({
  name: 'node-1',
  before: state,
  after: state,
  consequence: 'untouched',
  ...overrides,
});
const render = (topology: readonly TopologyChange[]) =>
  renderTopology(topology, { shrinkOrder: 1, whole: 'There.' }).render(10_000);

describe('renderTopology', () => {
  test.each<[string, readonly Partial<TopologyChange>[], string, string]>([
    [
      'one value if it stays the same',
      [{}],
      'node | what happens | role',
      '`node-1` | untouched | replica',
    ],
    [
      'old and new value if it changes',
      [
        {
          after: { ...state, role: 'primary', instanceType: 't3.large' },
          consequence: 'promoted',
        },
      ],
      'node | what happens | role | type',
      '`node-1` | **becomes the primary** | replica → primary | `t3.medium` → `t3.large`',
    ],
    [
      'a column whose values differ between the nodes',
      [{ name: 'node-2', after: { ...state, image: 'postgres:17' } }, {}],
      'node | what happens | role | image',
      '`node-1` | untouched | replica | `sha256:0123456789ab`',
    ],
    [
      'the zone of a new node, with a dash for an unknown one',
      [{ name: 'node-2' }, { before: null, after: { ...state, zone: null }, consequence: 'new' }],
      'node | what happens | role | zone',
      '`node-1` | **new** | replica | –',
    ],
    [
      'only what differs of a new cluster',
      [{ before: null, consequence: 'new' }],
      'node | role | zone',
      '`node-1` | replica | `us-east-1a`',
    ],
  ])('shows %s', (_case, changes, header, cells) => {
    const lines = render(changes.map(change)).split('\n');
    expect(lines.find((line) => line.startsWith('| node'))).toBe(`| ${header} |`);
    expect(lines.at(-1)).toBe(`| ${cells} |`);
  });

  test('is empty if nothing is known of the nodes', () => {
    const unknown = { ...state, role: null };
    expect(render([change({ before: unknown, after: unknown, consequence: null })])).toBe('');
  });

  test('is empty without nodes', () => {
    expect(render([])).toBe('');
    expect(renderTopologyDiagram([])).toBe('');
    expect(renderProofDiagram([])).toBe('');
  });
});

describe('the diagram', () => {
  test('is drawn before and after', () => {
    const before = { ...state, role: 'primary' as const };
    const diagram = renderTopologyDiagram([
      change({ before, after: before }),
      change({ name: 'node-2', before: null, consequence: 'new' }),
    ]);
    const [was, is] = diagram.split('**After**');
    expect(was).toContain('**Before**');
    expect(was).not.toContain('node-2');
    expect(is).toContain('  node_1 --> node_2');
  });

  test('has the lag on its edges', () => {
    const proof = [createProof(1), createProof(2, { lagBytes: 3_500_000 })];
    expect(renderProofDiagram(proof)).toContain('node_1 -->|"3.3 MiB behind"| node_2');
  });

  test('encodes every special character of its labels', () => {
    const zone = 'a\u202eb\u001b[31mc\n```\n"]; x --> y %%{init}%% <img src=x> [l](u)';
    const diagram = renderTopologyDiagram([change({ before: null, after: { ...state, zone } })]);
    const label = diagram.split('\n').find((line) => line.includes('node_1[')) ?? '';
    expect(diagram.split('\n').filter((line) => line.startsWith('```'))).toHaveLength(2);
    expect(label.replaceAll('<br/>', '')).toMatch(/^ {2}node_1\[\("[\w .:/#;-]*"\)\]$/);
    expect(label).not.toContain('#8238;');
    expect(label).not.toContain('#27;');
  });
});
