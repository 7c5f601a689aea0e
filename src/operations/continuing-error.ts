import type { NodeWork } from '../cluster/progress.ts';

/** The time of the run is over, and work goes on on the nodes without it. Nothing has failed. */
export class ContinuingError extends Error {
  readonly work: readonly NodeWork[];
  /** The nodes that work. */
  readonly nodes: readonly string[];

  /**
   * Whether the run did a command (a failover, a replacement, a deletion). A deploy finishes that: the command itself would
   * begin anew.
   */
  readonly isCommand: boolean;

  constructor(work: readonly NodeWork[], { isCommand = false }: { isCommand?: boolean } = {}) {
    const nodes = [...new Set(work.map(({ node }) => node))];
    super(`wait-minutes is over, and work goes on on ${nodes.join(', ')}`);
    this.nodes = nodes;
    this.name = 'ContinuingError';
    this.work = work;
    this.isCommand = isCommand;
  }
}
