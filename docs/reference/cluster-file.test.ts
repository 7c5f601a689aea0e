import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CLUSTER_KEYS } from '../../src/inputs/cluster-schema.ts';
import { PLAN_USES } from '../../src/inputs/pull-request-keys.ts';

const text = readFileSync(join(import.meta.dirname, 'cluster-file.md'), 'utf8');

/** The keys in the first column of the table with this heading. */
function readKeys(heading: string): string[] {
  const [, table = ''] = text.split(`| ${heading} |`);
  const rows = table.split('\n\n')[0]?.split('\n').slice(2) ?? [];
  return rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, key]) => key ?? ''),
  );
}

test('cluster-file.md says of every key what a plan does with it', () => {
  const held = readKeys('Held');
  const planned = readKeys('Planned as the pull request has it');
  // Planned within one registry, held beyond it.
  expect(held.filter((key) => planned.includes(key))).toEqual(['image']);
  for (const key of CLUSTER_KEYS) {
    const use = PLAN_USES[key];
    if (use !== 'registry') expect(use === 'planned', key).toBe(planned.includes(key));
    expect(use === 'planned', key).toBe(!held.includes(key));
  }
});
