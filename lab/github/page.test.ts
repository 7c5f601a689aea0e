import { expect, test } from 'vitest';
import { cutPage } from './page.ts';

const items = Array.from({ length: 250 }, (_, index) => index);

test.each([
  ['', [0, 30], { next: 2, last: 9 }],
  ['?per_page=100', [0, 100], { next: 2, last: 3 }],
  ['?per_page=101', [0, 100], { next: 2, last: 3 }],
  ['?per_page=100&page=2', [100, 200], { prev: 1, next: 3, last: 3, first: 1 }],
  ['?per_page=100&page=3', [200, 250], { prev: 2, first: 1 }],
  ['?per_page=100&page=9', [0, 0], { prev: 3, first: 1 }],
  ['?per_page=0&page=0', [0, 1], { next: 2, last: 250 }],
])('%s', (query, [start, end], relations) => {
  const { items: page, link } = cutPage(items, new URL(`http://host/list${query}`));
  expect(page).toEqual(items.slice(start, end));
  const found = [...(link ?? '').matchAll(/[?&]page=(\d+)[^>]*>; rel="(\w+)"/g)];
  expect(Object.fromEntries(found.map(([, number, rel]) => [rel, Number(number)]))).toEqual(
    relations,
  );
});

test('returns no links if one page contains everything', () => {
  expect(cutPage([1], new URL('http://host/list')).link).toBeUndefined();
});

test('refuses a page that is not a number', () => {
  expect(() => cutPage(items, new URL('http://host/list?per_page=all'))).toThrow(
    'Validation Failed',
  );
});
