import { expect, test } from 'vitest';
import { formatBytes, formatDuration, formatRate } from './quantities.ts';

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

test.each([
  [0.2, '1 s'],
  [59, '59 s'],
  [2100, '35 min'],
  [3590, '1 h'],
  [4342, '1 h 12 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});
