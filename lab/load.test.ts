import { describe, expect, test } from 'vitest';
import { isLostConnection } from './load/connection.ts';
import { Ledger, listMissing, measureGaps } from './load/ledger.ts';
import { findReadProblems } from './load/reader.ts';
import { makePayload } from './load/row.ts';
import { Chronicle, type Sample } from './load/sampler.ts';

const acknowledged = (...moments: number[]) =>
  moments.map((at, index) => ({ counter: index + 1, at }));

describe('gaps between commits', () => {
  test('are the times between acknowledgements, up to the end', () => {
    const { longestGapMs, gaps } = measureGaps(acknowledged(1000, 1010, 1500, 1510), 1900);
    expect(longestGapMs).toBe(490);
    expect(gaps).toEqual([
      { from: '1970-01-01T00:00:01.010Z', ms: 490 },
      { from: '1970-01-01T00:00:01.510Z', ms: 390 },
    ]);
  });

  test('do not exist for a writer that never wrote', () => {
    expect(measureGaps([], 5000)).toEqual({ longestGapMs: 0, gaps: [] });
  });
});

test('missing rows are those that were acknowledged and do not exist', () => {
  expect(listMissing(acknowledged(1, 2, 3), [1, 3, 7])).toEqual([2]);
});

describe('a read', () => {
  const ledger = new Ledger();
  for (const counter of [1, 2, 4, 5]) ledger.acknowledge(counter, counter);
  const rows = (...counters: number[]) =>
    counters.map((counter) => ({ counter, payload: makePayload(counter) }));

  test('may lack newer rows, and rows that were never acknowledged', () => {
    expect(findReadProblems(rows(4, 2, 1), { seen: 2, ledger })).toEqual([]);
    expect(findReadProblems(rows(), { seen: 0, ledger })).toEqual([]);
  });

  test('must not lose a row, skip one or show a wrong one', () => {
    expect(findReadProblems(rows(2, 1), { seen: 4, ledger })).toEqual([
      'showed row 4 and later only up to 2',
    ]);
    expect(findReadProblems(rows(5, 2), { seen: 2, ledger })).toEqual(['shows row 5 but not 4']);
    expect(findReadProblems([{ counter: 1, payload: 'x' }], { seen: 0, ledger })).toEqual([
      'shows a wrong row 1',
    ]);
  });
});

describe('a chronicle', () => {
  const sample = (host: string, asked: number, more: Partial<Sample> = {}): Sample => ({
    host,
    asked,
    answered: asked + 5,
    life: 'first',
    inRecovery: true,
    replay: 'not paused',
    streaming: true,
    senders: {},
    ...more,
  });
  const primary = { inRecovery: false, replay: null, streaming: null };
  const tell = (...samples: Sample[]) => {
    const chronicle = new Chronicle();
    for (const one of samples) chronicle.add(one);
    return chronicle;
  };

  test('records how long a replay was paused, and when a replica did not stream', () => {
    const paused = { replay: 'paused', streaming: false };
    const chronicle = tell(
      sample('a', 0),
      sample('a', 100, paused),
      sample('a', 200, paused),
      sample('a', 300),
    );
    expect(chronicle.listPaused()).toEqual([
      { host: 'a', what: 'replay paused', from: '1970-01-01T00:00:00.105Z', ms: 100 },
    ]);
    expect(chronicle.listNotStreaming()).toMatchObject([{ host: 'a', ms: 100 }]);
  });

  test('reports two primaries only if their times overlap for certain', () => {
    const planned = [
      sample('a', 0, primary),
      sample('a', 100, primary),
      // Answered long after the query: it may have been promoted at any time in between.
      sample('b', 50, { ...primary, answered: 900 }),
      sample('b', 1000, primary),
    ];
    expect(tell(...planned).listSplitBrains()).toEqual([]);
    const split = tell(...planned, sample('a', 1200, primary)).listSplitBrains();
    expect(split).toEqual([
      'a and b were both primary at 1970-01-01T00:00:00.900Z for at least 100 ms',
    ]);
    // After a restart it may have begun as a replica.
    expect(
      tell(...planned, sample('a', 2000, { ...primary, life: 'second' })).listSplitBrains(),
    ).toEqual([]);
  });

  test('reports two nodes that are down together, but not one that is still being created', () => {
    const chronicle = tell(sample('a', 0), sample('b', 0));
    chronicle.lose('c', 10);
    chronicle.lose('a', 100);
    chronicle.lose('a', 300);
    chronicle.add(sample('a', 350, { life: 'second' }));
    chronicle.lose('b', 340);
    expect(chronicle.listDownTogether()).toEqual([]);
    // A single attempt proves nothing.
    chronicle.lose('a', 500);
    chronicle.lose('b', 600);
    expect(chronicle.listDownTogether()).toEqual([]);
    chronicle.lose('a', 560);
    expect(chronicle.listDownTogether()).toEqual([
      'b and a were both down at 1970-01-01T00:00:00.500Z for at least 60 ms',
    ]);
    expect(chronicle.countLives()).toEqual({ a: 2, b: 1 });
  });
});

test.each([
  [{ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }, true],
  [{ code: '57P01', message: 'terminating connection due to administrator command' }, true],
  [{ code: '57P03', message: 'the database system is starting up' }, true],
  [new Error('Connection terminated unexpectedly'), true],
  [new Error('timeout expired'), true],
  [new Error('Query read timeout'), true],
  [{ code: '40001', message: 'canceling statement due to conflict with recovery' }, false],
  [{ code: '28P01', message: 'password authentication failed' }, false],
  [new Error('cannot read properties of undefined'), false],
])('%o is a lost connection: %s', (error, is) => {
  expect(isLostConnection(error)).toBe(is);
});
