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
  test.each<[string, Partial<TopologyChange>, string]>([
    [
      'one value if it stays the same',
      {},
      'untouched | replica | `us-east-1a` | `t3.medium` | `sha256:0123456789ab`',
    ],
    [
      'old and new value if it changes',
      { after: { ...state, role: 'primary', instanceType: 't3.large' }, consequence: 'promoted' },
      '**becomes the primary** | replica → primary | `us-east-1a` | `t3.medium` → `t3.large` | `sha256:0123456789ab`',
    ],
    [
      'a dash for an unknown value',
      { before: null, after: { ...state, zone: null, image: 'postgres:17' }, consequence: null },
      'not known | replica | – | `t3.medium` | `postgres:17`',
    ],
  ])('%s', (_case, overrides, cells) => {
    expect(
      render([change(overrides)])
        .split('\n')
        .at(-1),
    ).toBe(`| \`node-1\` | ${cells} |`);
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
