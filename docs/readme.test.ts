import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadActionMetadata } from '../lab/runner/metadata.ts';
import { fillReadme, README } from './readme.ts';

test('the README has every input and output as action.yml says (node docs/readme.ts)', () => {
  const text = readFileSync(README, 'utf8');
  const metadata = loadActionMetadata(join(import.meta.dirname, '..'));
  expect(fillReadme(text, metadata)).toBe(text);
  expect(Object.keys(metadata.inputs).length).toBeGreaterThan(15);
});
