import type { Node } from '../cluster/node.ts';
import { NOT_PROVED, type NodeProof } from '../cluster/proof.ts';

/** Builds the entry of a node that the proof does not cover. */
export function buildUnprovedProof(name: string, nodes: readonly Node[]): NodeProof {
  return {
    name,
    role: 'replica',
    address: nodes.find((node) => node.name === name)?.privateAddress ?? '',
    state: NOT_PROVED,
    ...{ timeline: null, lsn: null, lagBytes: null, lagSeconds: null, slot: null },
    ...{
      replayPaused: false,
      tokenRead: false,
      systemIdentifier: null,
      archiver: null,
      archivedWal: null,
      canary: null,
      verification: null,
      storage: null,
      problem: null,
    },
  };
}
