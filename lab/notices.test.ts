import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listPackageFolders, readNoticeNames, readPackage, renderNotices } from './notices.ts';

describe('listPackageFolders', () => {
  test('finds merged modules, scoped packages and nested ones, once each', () => {
    const modules = [
      { nameForCondition: '/r/build/index.js' },
      { nameForCondition: null },
      {
        nameForCondition: null,
        modules: [
          { nameForCondition: '/r/node_modules/zod/v4/core.js' },
          { nameForCondition: '/r/node_modules/zod/index.js' },
          { nameForCondition: '/r/node_modules/@octokit/core/dist-src/index.js' },
        ],
      },
      { nameForCondition: '/r/node_modules/a/node_modules/b/index.js' },
    ];
    expect(listPackageFolders(modules)).toEqual([
      '/r/node_modules/@octokit/core',
      '/r/node_modules/a/node_modules/b',
      '/r/node_modules/zod',
    ]);
  });
});

describe('readPackage', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgca-notices-'));
    mkdirSync(folder, { recursive: true });
    const metadata = { name: 'b', version: '1.2.3', license: 'MIT' };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(metadata));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test.each(['LICENSE', 'LICENSE.md', 'licence.txt'])('reads %s', (file) => {
    writeFileSync(join(folder, file), 'Text\n');
    expect(readPackage(folder)).toEqual({
      name: 'b',
      version: '1.2.3',
      license: 'MIT',
      text: 'Text',
    });
  });

  test('fails for a package without a license file', () => {
    expect(() => readPackage(folder)).toThrow(/^b is bundled, but .* has no license\./);
  });
});

test('the notices list each package once, by name', () => {
  const pack = (name: string) => ({ name, version: '1.0.0', license: 'MIT', text: 'x' });
  const text = renderNotices([pack('zod'), pack('@octokit/core'), pack('zod')]);
  expect(readNoticeNames(text)).toEqual(['@octokit/core', 'zod']);
});
