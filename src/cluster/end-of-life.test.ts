import { expect, test } from 'vitest';
import { warnEndOfLife } from './end-of-life.ts';
import { majorOfTag } from './spec.ts';

test.each<[string, string, boolean]>([
  ['14-alpine', '2026-11-13', true],
  ['14-alpine', '2026-11-12', false],
  ['17', '2026-11-13', false],
  ['17.6-bookworm', '2030-01-01', true],
  ['team-build', '2030-01-01', false],
])('image tag %s on %s warns: %s', (tag, today, warns) => {
  expect(warnEndOfLife(tag, today) !== null).toBe(warns);
});

test.each<[string, number | null]>([
  ['17', 17],
  ['17.6', 17],
  ['14-alpine', 14],
  ['9', 9],
  ['2026-11-01', null],
  ['latest', null],
  ['17rc1', null],
])('the major of tag %s is %s', (tag, major) => {
  expect(majorOfTag(tag)).toBe(major);
});
