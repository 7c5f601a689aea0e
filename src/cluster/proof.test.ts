import { expect, test } from 'vitest';
import { findProofProblems, type NodeProof } from './proof.ts';

function createProof(overrides: Partial<NodeProof> = {}): NodeProof {
  return {
    name: 'node-2',
    role: 'replica',
    address: '10.42.0.12',
    state: 'streaming',
    timeline: 1,
    lsn: '0/3000148',
    lagBytes: 0,
    lagSeconds: 0,
    replayPaused: false,
    tokenRead: true,
    slot: 'node_2',
    systemIdentifier: '7300000000000000001',
    archiver: null,
    archivedWal: null,
    canary: null,
    verification: null,
    storage: null,
    problem: null,
    ...overrides,
  };
}

const primary = createProof({ name: 'node-1', role: 'primary', state: 'running', slot: null });
const NODES = ['node-1', 'node-2'];

test.each<[string, NodeProof[], string[]]>([
  ['everything holds', [primary, createProof()], []],
  ['a node is silent', [primary], ['node-2: gave no answer']],
  ['a replica does not stream', [primary, createProof({ state: 'catchup' })], ['node-2: catchup']],
  [
    'the value did not arrive',
    [primary, createProof({ tokenRead: false })],
    ['node-2: the value written on the primary was not read'],
  ],
  [
    'replay is paused',
    [primary, createProof({ replayPaused: true })],
    ['node-2: replay is paused'],
  ],
  [
    'a node says what is wrong',
    [primary, createProof({ problem: 'no slot' })],
    ['node-2: no slot'],
  ],
  [
    'there are two primaries',
    [primary, createProof({ role: 'primary', state: 'running' })],
    ['2 primaries, expected one'],
  ],
  [
    'there is none',
    [createProof({ name: 'node-1' }), createProof()],
    ['0 primaries, expected one'],
  ],
  [
    'a node belongs elsewhere',
    [primary, createProof({ systemIdentifier: '1' })],
    ['the nodes belong to different database clusters'],
  ],
])('%s', (_, proof, problems) => {
  expect(findProofProblems(proof, NODES)).toEqual(problems);
});
