import { describe, expect, test } from 'vitest';
import type { NodeWork } from '../cluster/progress.ts';
import { createPace, createWorkLog, createWorkPublisher } from './report-work.ts';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

function copy(node: string, done: number): NodeWork {
  const progress = { kind: 'copy', done, total: null, started: 0, updated: 0 } as const;
  return { node, ...progress, working: true, rate: null, left: null };
}

/** Logs the work of each moment; returns the lines with their times in seconds. */
function run(seconds: number, every: number, describe: (at: number) => readonly NodeWork[]) {
  let now = 0;
  const lines: [number, string][] = [];
  const log = createWorkLog(
    (line) => lines.push([now / SECOND, line]),
    () => now,
  );
  for (; now <= seconds * SECOND; now += every * SECOND) log(describe(now));
  return lines;
}

describe('the log of work', () => {
  test('has one line for all nodes', () => {
    expect(run(0, 1, () => [copy('node-2', 5), copy('node-3', 7)])).toEqual([
      [0, 'node-2 has copied 5 B so far · node-3 has copied 7 B so far'],
    ]);
  });

  test('gets a line every few seconds at first, then every half minute', () => {
    const times = run(3_600, 1, (at) => [copy('node-2', at * 1e9)]).map(([at]) => at);
    expect(times.slice(0, 4)).toEqual([0, 5, 10, 15]);
    expect(times.slice(-2)).toEqual([3_554, 3_584]);
  });

  test('of six hours is short', () => {
    expect(run((6 * HOUR) / SECOND, 4, (at) => [copy('node-2', at * 1e9)]).length).toBeLessThan(
      800,
    );
  });

  test('has no line twice in a row, and none without work', () => {
    expect(run(600, 4, () => [copy('node-2', 5)])).toHaveLength(1);
    expect(run(600, 4, () => [])).toEqual([]);
  });
});

test.each([
  [1, 3],
  [300, 11],
  [3_600, 36],
  [21_600, 66],
])('a pace of 30 s to 10 min allows about as much: %s s', (seconds, most) => {
  const isDue = createPace({ shortest: 30 * SECOND, longest: 600 * SECOND });
  const due = Array.from({ length: seconds }, (_, at) => isDue(at * SECOND)).filter(Boolean);
  expect(due.length).toBeLessThanOrEqual(most);
  expect(due.length).toBeGreaterThan(most / 2 - 1);
});

test('the comment on work in progress is updated at most every 30 seconds', () => {
  const state = { now: 0, shown: 0 };
  const showWork = createWorkPublisher(
    () => {
      state.shown += 1;
    },
    () => state.now,
  );
  showWork();
  showWork();
  expect(state.shown).toBe(1);
  state.now = 31 * SECOND;
  showWork();
  expect(state.shown).toBe(2);
});
