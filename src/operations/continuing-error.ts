import type { EndedRun, NodeWork } from '../cluster/progress.ts';

/** The time of the run is over, and work goes on on the nodes without it. Nothing has failed. */
export class ContinuingError extends Error {
  readonly work: readonly NodeWork[];
  /** The nodes that work. */
  readonly nodes: readonly string[];
  readonly run: EndedRun;

  constructor(work: readonly NodeWork[], run: EndedRun = 'operation') {
    const nodes = [...new Set(work.map(({ node }) => node))];
    super(`wait-minutes is over, and work goes on on ${nodes.join(', ')}`);
    this.nodes = nodes;
    this.name = 'ContinuingError';
    this.work = work;
    this.run = run;
  }
}
