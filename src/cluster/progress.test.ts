import { describe, expect, test } from 'vitest';
import { type NodeProgress, ProgressHistory } from './progress.ts';

const START = 1_795_000_000;

function report(seconds: number, done: number, more: Partial<NodeProgress> = {}): NodeProgress {
  return {
    kind: 'copy',
    done,
    total: 10_000,
    started: START,
    updated: START + seconds,
    working: true,
    ...more,
  };
}

function measure(...reports: readonly NodeProgress[]) {
  const history = new ProgressHistory();
  for (const one of reports) history.add('node-2', one);
  return history.measure();
}

describe('rate and time left', () => {
  test.each<[string, readonly NodeProgress[], number | null, number | null]>([
    ['two reports', [report(5, 500), report(10, 1_000)], 100, 90],
    ['two reports within a second', [report(5, 500), report(5.5, 600)], null, null],
    [
      'only the last half minute counts',
      [report(0, 0), report(100, 1_000), report(120, 3_000), report(130, 4_000)],
      100,
      60,
    ],
    ['it hardly moves', [report(5, 500, { total: 1e9 }), report(10, 505, { total: 1e9 })], 1, null],
    ['nothing moves', [report(5, 500), report(10, 500)], 0, null],
    ['more than was estimated', [report(5, 9_000), report(10, 11_000)], 400, null],
    ['no estimate', [report(5, 0, { total: null }), report(10, 500, { total: null })], 100, null],
    [
      'work that began again',
      [report(5, 500), report(10, 700, { started: START + 8 })],
      null,
      null,
    ],
    ['less than before', [report(5, 500), report(10, 100)], null, null],
    ['another kind of work', [report(5, 500), report(10, 700, { kind: 'replay' })], null, null],
    ['a clock that went back', [report(10, 500), report(5, 700)], null, null],
  ])('%s', (_, reports, rate, left) => {
    expect(measure(...reports)).toMatchObject([{ node: 'node-2', rate, left }]);
  });

  test('a report that never changes is left over from work that died', () => {
    expect(measure(report(5, 500))).toEqual([]);
    expect(measure(report(5, 500), report(5, 500))).toEqual([]);
  });

  test('a node whose work has ended is left out', () => {
    expect(measure(report(5, 500), report(5, 500, { working: false }))).toEqual([]);
  });

  test('few reports are kept of work that takes hours', () => {
    const many = Array.from({ length: 5_000 }, (_, index) => report(index * 4, index));
    expect(measure(...many)).toMatchObject([{ rate: 0.25 }]);
  });
});

test('a node whose work has ended is not shown beside one that still works', () => {
  const history = new ProgressHistory();
  for (const node of ['node-2', 'node-3']) {
    for (const one of [report(5, 500), report(10, 1_000)]) history.add(node, one);
  }
  history.remove('node-2');
  expect(history.measure().map(({ node }) => node)).toEqual(['node-3']);
});
