import { expect, test } from 'vitest';
import { warnCollations } from './collation.ts';
import type { CollationObservation, DataRecord } from './observation.ts';
import { createDesired, createHealthy } from './testing/fixtures.ts';

const GLIBC: CollationObservation = { provider: 'libc', locale: 'en_US.utf8', version: '2.36' };
const ICU: CollationObservation = { provider: 'icu', locale: '', version: null };

function warn(
  collations: readonly CollationObservation[],
  options: { image?: string; libc?: DataRecord['libc']; label?: string | null } = {},
): string | null {
  const { image = 'postgres:17.6', libc = 'glibc', label = 'allow-collation-change' } = options;
  const observed = createHealthy(createDesired({ size: 2 })).map((node) => ({
    ...node,
    record: node.record && { ...node.record, image: 'postgres:17-bookworm', libc },
    postgres: node.postgres && { ...node.postgres, collations },
  }));
  return warnCollations(observed, { image, label });
}

test('warnCollations says that another image is compared where a library sorts', () => {
  expect(warn([GLIBC, ICU])).toMatch(
    /databases sort text by glibc 2\.36 \(en_US\.utf8\), ICU \(root\)\. .*compares postgres:17-bookworm with postgres:17\.6 before anything stops.*carries the label allow-collation-change\.$/,
  );
  expect(warn([GLIBC], { label: null })).not.toContain('label');
});

test('warnCollations returns no warning if no library sorts text or the image is unchanged', () => {
  expect(warn([])).toBeNull();
  expect(warn([GLIBC], { image: 'postgres:17-bookworm' })).toBeNull();
  expect(warn([GLIBC], { libc: 'musl' })).toBeNull();
  expect(warn([ICU], { libc: 'musl' })).toContain('ICU');
  expect(warnCollations([], { image: 'postgres:17', label: null })).toBeNull();
});
