import type { EndedRun, NodeWork } from '../cluster/progress.ts';

/** The time of the run is over, and the nodes go on with their work. Nothing has failed. */
export class ContinuingError extends Error {
  readonly work: readonly NodeWork[];
  /** The nodes that work. */
  readonly nodes: readonly string[];
  readonly run: EndedRun;

  constructor(work: readonly NodeWork[], run: EndedRun = 'operation') {
    const nodes = [...new Set(work.map(({ node }) => node))];
    super(`wait-minutes is over, and these nodes still work: ${nodes.join(', ')}`);
    this.nodes = nodes;
    this.name = 'ContinuingError';
    this.work = work;
    this.run = run;
  }
}
