import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadActionMetadata } from '../../lab/runner/metadata.ts';
import { DEPLOY, readStep } from '../../src/inputs/input-fixtures.ts';
import { fillPage, GROUPS, PAGE, REQUIRED } from './inputs.ts';

const metadata = loadActionMetadata(join(import.meta.dirname, '../..'));

test('inputs.md has every input and output as action.yml says (node docs/reference/inputs.ts)', () => {
  const text = readFileSync(PAGE, 'utf8');
  expect(fillPage(text, metadata)).toBe(text);
});

test('every input is in one group', () => {
  expect(Object.values(GROUPS).flat().sort()).toEqual(Object.keys(metadata.inputs).sort());
});

test('inputs.md says of every input of a deploy that is required that it is', () => {
  const missing = Object.keys(metadata.inputs).filter((name) =>
    readStep({ [name]: '' }, DEPLOY).problems.some((problem) =>
      problem.startsWith(`${name}: missing.`),
    ),
  );
  expect(missing.length).toBeGreaterThan(3);
  expect(Object.keys(REQUIRED)).toEqual(expect.arrayContaining(missing));
});
