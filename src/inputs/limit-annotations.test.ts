import { expect, test } from 'vitest';
import { limitAnnotations } from './limit-annotations.ts';

const list = (count: number) => Array.from({ length: count }, (_, index) => `problem ${index + 1}`);

test.each([0, 1, 10])('%d problems are all shown', (count) => {
  expect(limitAnnotations(list(count))).toEqual({ annotations: list(count), lines: [] });
});

test.each([
  [11, '… and 2 more, see the log.'],
  [5000, '… and 4,991 more, see the log.'],
])(
  'of %d problems nine are shown with the number of the others; the log has all',
  (count, last) => {
    expect(limitAnnotations(list(count))).toEqual({
      annotations: [...list(9), last],
      lines: list(count),
    });
  },
);
