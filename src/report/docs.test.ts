import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PAGES, renderDocs } from './docs.ts';
import { createDeployReport } from './fixtures/report.ts';

test.each(Object.values(PAGES))('reports link to docs/%s, which exists', (page) => {
  const [file = '', section] = page.split('#');
  const text = readFileSync(join(import.meta.dirname, '../../docs', file), 'utf8');
  if (section !== undefined) expect(text.toLowerCase()).toContain(`\n## ${section}\n`);
});

test('a report links to the docs of the release that runs, or not at all', () => {
  const { run } = createDeployReport({ state: 'planning' });
  const docs = 'https://github.com/acme/action/blob/v2/docs';
  expect(renderDocs('Connect', { ...run, docs }, 'connect')).toBe(
    `[Connect](${docs}/how-to/connect.md)`,
  );
  expect(renderDocs('Connect', { ...run, docs: null }, 'connect')).toBe('');
});
