/** How far the long work on a node is, as the node reports it. */
export interface NodeProgress {
  /**
   * `copy`: the files of another node; `restore`: those of a backup; `backup`: its own files; `recovery`: WAL of its own or of
   * an archive; `replay`: WAL that other nodes have; `verification`: pages of tables and indexes that it reads.
   */
  readonly kind: 'copy' | 'restore' | 'backup' | 'recovery' | 'replay' | 'verification';
  /** Bytes. */
  readonly done: number;
  /** Estimate in bytes; null if it is unknown. */
  readonly total: number | null;
  /** When the work began, in seconds since 1970, by the node's clock. */
  readonly started: number;
  /** When this was written, by the same clock. */
  readonly updated: number;
  /** Whether the work is going on; false once it has ended, however it ended. */
  readonly working: boolean;
  /** The time of the last commit that was replayed, in seconds since 1970; absent or null if it is unknown. */
  readonly reached?: number | null | undefined;
}

/** A node's progress with its speed. */
export interface MeasuredProgress extends NodeProgress {
  readonly node: string;
  /** Bytes per second over the last half minute; null until it is known. */
  readonly rate: number | null;
  /** Seconds; null if it is unknown, or more than a month. */
  readonly left: number | null;
}

/** The work of a node: its progress, or only the kind of step if the node has reported none. */
export type NodeWork =
  | MeasuredProgress
  | { readonly kind: 'step'; readonly node: string; readonly step: string };

/** The kind of run that ended while nodes still worked; `repair`: a failover, a replacement or a deletion. */
export type EndedRun = 'deploy' | 'operation' | 'repair' | 'backup';

/** The rate is the mean of this many seconds. */
const WINDOW_SECONDS = 30;
/** A shorter time between two reports gives no rate. */
const LEAST_SECONDS = 1;
/** A longer rest, of work that hardly advances, says nothing. */
const LONGEST_SECONDS = 30 * 24 * 3600;

/** The last reports of each node, from which the speed of its work follows. */
export class ProgressHistory {
  readonly #reports = new Map<string, readonly NodeProgress[]>();
  /** Nodes whose report has changed: any other may be left over from work that died. */
  readonly #alive = new Set<string>();

  /** Adds a node's report; one that was added before changes nothing. */
  add(node: string, report: NodeProgress): void {
    const known = this.#reports.get(node) ?? [];
    const last = known.at(-1);
    if (last?.updated === report.updated && last.working === report.working) return;
    if (last !== undefined) this.#alive.add(node);
    const isSame =
      last !== undefined &&
      last.kind === report.kind &&
      last.started === report.started &&
      last.done <= report.done &&
      last.updated <= report.updated;
    const all = isSame ? [...known, report] : [report];
    // One report from before the window stays, so that the window is always full.
    const from = report.updated - WINDOW_SECONDS;
    this.#reports.set(
      node,
      all.filter((_, index) => (all[index + 1]?.updated ?? report.updated) > from),
    );
  }

  /** Forgets a node that answers and reports nothing: its work has ended. */
  remove(node: string): void {
    this.#reports.delete(node);
    this.#alive.delete(node);
  }

  /** Returns the progress of nodes whose work is seen to go on, in the order in which they were added. */
  measure(): MeasuredProgress[] {
    return [...this.#reports].flatMap(([node, reports]) => {
      const last = reports.at(-1);
      if (last === undefined || !last.working || !this.#alive.has(node)) return [];
      const rate = measureRate(reports);
      const { total, done } = last;
      const left = rate && total !== null && total > done ? (total - done) / rate : null;
      return [{ ...last, node, rate, left: left !== null && left > LONGEST_SECONDS ? null : left }];
    });
  }
}

function measureRate(reports: readonly NodeProgress[]): number | null {
  const [first] = reports;
  const last = reports.at(-1);
  if (first === undefined || last === undefined) return null;
  const seconds = last.updated - first.updated;
  return seconds < LEAST_SECONDS ? null : (last.done - first.done) / seconds;
}
