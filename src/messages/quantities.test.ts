import { expect, test } from 'vitest';
import { formatBytes, formatCopied, formatDuration, formatRate } from './quantities.ts';

test.each([
  [512, '512 B'],
  [1.5 * 1024 ** 2, '1.5 MiB'],
  [212 * 1024 ** 3, '212.0 GiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [32, '32 kB/s'],
  [1536, '1536 kB/s'],
  [50 * 1024, '50 MB/s'],
  [1024 ** 2, '1 GB/s'],
])('%d kB per second are %s', (rate, text) => {
  expect(formatRate(rate)).toBe(text);
});

test.each<[number, number | null, string]>([
  [212, 500, '212.0 GiB of 500.0 GiB (42 %)'],
  [499.9, 500, '499.9 GiB of 500.0 GiB (99 %)'],
  [212, null, '212.0 GiB so far'],
  [212, 200, '212.0 GiB so far'],
])('%d GiB copied of %s are %s', (done, total, text) => {
  expect(formatCopied(done * 1024 ** 3, total && total * 1024 ** 3)).toBe(text);
});

test('nothing copied of nothing is no share', () => {
  expect(formatCopied(0, 0)).toBe('0 B so far');
});

test.each([
  [0, '1 s'],
  [0.2, '1 s'],
  [59.4, '59 s'],
  [59.6, '1 min'],
  [2_100, '35 min'],
  [3_560, '59 min'],
  [3_580, '1 h'],
  [18_720, '5 h 12 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});
