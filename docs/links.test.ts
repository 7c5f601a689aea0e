import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const PAGES = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter(
    (file) =>
      /^(?:[^/]+|(?:docs|lab|bench|setup|templates)\/.+)\.md$/.test(file) &&
      existsSync(join(root, file)),
  );

/** Returns the ids that GitHub gives to a page's headings. */
function listAnchors(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```.*?^```/gms, '');
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe.each(PAGES)('%s', (page) => {
  const text = readFileSync(join(root, page), 'utf8');

  test('links to existing files and headings', () => {
    for (const [link, target = ''] of text.matchAll(
      /\]\(([^)\s]+)\)|srcset="[^"]+"|src="[^"]+"/g,
    )) {
      const address = target || (/"([^"]+)"/.exec(link)?.[1] ?? '');
      if (/^[a-z]+:/.test(address)) continue;
      const [path = '', anchor] = address.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      expect(existsSync(join(root, file)), `${link}: no such file`).toBe(true);
      if (anchor === undefined) continue;
      expect(listAnchors(file), `${link}: no such heading`).toContain(anchor);
    }
  });

  test('names existing tests', () => {
    for (const [, file = ''] of text.matchAll(
      /`((?:src|lab|playbooks)\/[\w./-]+\.test\.ts|playbooks\/tests\/\w+\.py)`/g,
    )) {
      expect(existsSync(join(root, file)), file).toBe(true);
    }
  });
});
