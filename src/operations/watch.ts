import type { Nodes } from '../ansible/nodes.ts';
import type { ProgressAnswer } from '../ansible/progress.ts';
import { type NodeWork, ProgressHistory } from '../cluster/progress.ts';
import { CancelledError, UserError } from '../messages/errors.ts';
import type { Clock } from './clock.ts';

/** A step whose work is going on, and its node. */
export interface PendingStep {
  readonly node: string;
  /** The kind of step, e.g. `clone`. */
  readonly step: string;
}

/** How long a call to the nodes lasts before they are asked for their progress, and how often that is done, in ms. */
const FIRST_LOOK_MS = 5_000;
const LOOK_MS = 4_000;
/** How long a node may be silent before the run fails, in ms. */
const SILENCE_MS = 10 * 60_000;
/** How long a node that answers may report nothing new before the step is performed again, in ms. */
const SHORTEST_PATIENCE_MS = 30_000;
const LONGEST_PATIENCE_MS = 5 * 60_000;
/** The step is performed again at most this often while it stays pending, in ms. */
const LONGEST_PAUSE_MS = 60_000;

/** Watches the work on the nodes. */
export class Watch {
  readonly #nodes: Pick<Nodes, 'readProgress'>;
  readonly #clock: Clock;
  readonly #deadline: number;
  readonly #log: (line: string) => void;
  readonly #onWork: (work: readonly NodeWork[]) => void;
  readonly #history = new ProgressHistory();
  #work: readonly NodeWork[] = [];
  /** The work that was waited for last, and how often in a row. */
  #waitedFor = '';
  #waits = 0;

  constructor(
    nodes: Pick<Nodes, 'readProgress'>,
    options: {
      clock: Clock;
      /** When to stop waiting, in ms since 1970. */
      deadline: number;
      log: (line: string) => void;
      /** Gets what the nodes do, whenever they were asked. */
      onWork: (work: readonly NodeWork[]) => void;
    },
  ) {
    this.#nodes = nodes;
    this.#clock = options.clock;
    this.#deadline = options.deadline;
    this.#log = options.log;
    this.#onWork = options.onWork;
  }

  /** Returns what goes on: the progress of each node, or the step of a node that has not reported any. */
  listWork(pending: readonly PendingStep[]): NodeWork[] {
    const steps = pending
      .filter(({ node }) => !this.#work.some((known) => known.node === node))
      .map(({ node, step }) => ({ kind: 'step', node, step }) as const);
    return [...this.#work, ...steps];
  }

  /** Reports progress while `call` lasts. */
  async during<Result>(call: () => Promise<Result>): Promise<Result> {
    const end = new AbortController();
    const following = this.#follow(end.signal);
    try {
      return await call();
    } finally {
      end.abort();
      await following;
    }
  }

  /**
   * Waits until the work of one of the nodes has ended, or needs another look. Returns false if the time of the run is over
   * first. Nodes may be silent for a while: their work does not depend on the connection.
   *
   * @throws UserError if a node is silent for too long
   * @throws CancelledError if the job is cancelled
   */
  async untilEnd(pending: readonly PendingStep[]): Promise<boolean> {
    this.#countWait(pending);
    const growth = 2 ** (this.#waits - 1);
    const patience = Math.min(LONGEST_PATIENCE_MS, SHORTEST_PATIENCE_MS * growth);
    const pause = Math.min(LONGEST_PAUSE_MS, LOOK_MS * growth);
    const began = this.#clock.now();
    const states = new Map(
      pending.map(({ node }) => [node, { heard: began, news: began, updated: 0, isSilent: false }]),
    );
    for (;;) {
      const left = this.#deadline - this.#clock.now();
      if (left <= 0) return false;
      await this.#clock.sleep(Math.min(LOOK_MS, left));
      const answers = await this.#look(new AbortController().signal);
      const now = this.#clock.now();
      let isEnded = false;
      for (const [node, state] of states) {
        const answer = answers.get(node) ?? { kind: 'silent' };
        if (answer.kind === 'silent') {
          if (!state.isSilent) this.#log(explainSilence(node));
          state.isSilent = true;
          if (now - state.heard >= SILENCE_MS) throw refuseSilence(node);
          continue;
        }
        if (state.isSilent) this.#log(`${node} answers again`);
        if (state.isSilent || hasNews(answer, state.updated)) state.news = now;
        if (answer.kind === 'progress') state.updated = answer.progress.updated;
        state.isSilent = false;
        state.heard = now;
        const isDone = answer.kind === 'progress' && !answer.progress.working;
        if (isDone || now - state.news >= patience) isEnded = true;
      }
      if (isEnded && now - began >= pause) return true;
    }
  }

  /** Asks the nodes once more, after a failure: other nodes may still work. */
  async refresh(): Promise<void> {
    if (this.#work.length > 0) await this.#look(new AbortController().signal);
  }

  /** Reports that nothing goes on any more. */
  finish(): void {
    this.#work = [];
    this.#onWork([]);
  }

  #countWait(pending: readonly PendingStep[]): void {
    const key = JSON.stringify(pending);
    this.#waits = key === this.#waitedFor ? this.#waits + 1 : 1;
    this.#waitedFor = key;
  }

  async #follow(end: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(FIRST_LOOK_MS, end);
      while (!end.aborted) {
        await this.#look(end);
        await this.#clock.sleep(LOOK_MS, end);
      }
    } catch (error) {
      // A cancel ends the call as well, which reports it.
      if (!(error instanceof CancelledError)) throw error;
    }
  }

  async #look(signal: AbortSignal): Promise<ReadonlyMap<string, ProgressAnswer>> {
    const answers = await this.#nodes.readProgress(signal);
    if (signal.aborted) return answers;
    for (const [node, answer] of answers) {
      if (answer.kind === 'progress') this.#history.add(node, answer.progress);
      else if (answer.kind === 'none') this.#history.remove(node);
    }
    this.#work = this.#history.measure();
    this.#onWork(this.#work);
    return answers;
  }
}

function hasNews(answer: ProgressAnswer, updated: number): boolean {
  return answer.kind === 'progress' && answer.progress.updated !== updated;
}

const MINUTES = SILENCE_MS / 60_000;

function explainSilence(node: string): string {
  return `${node} does not answer SSH. Its work does not depend on this connection; the run waits up to ${MINUTES} minutes for it`;
}

function refuseSilence(node: string): UserError {
  return new UserError(
    `${node} has not answered SSH for ${MINUTES} minutes. Its work goes on without this run as long as the node is up. Once SSH reaches ${node}, deploy: the deploy finds the work and continues.`,
  );
}
