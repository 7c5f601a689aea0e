import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NOTICES, readNoticeNames } from '../notices.ts';

interface LockEntry {
  readonly dev?: boolean;
}

/** Packages of which nothing is bundled: types, and parts of the AWS SDK for browsers and for older modules. */
const WITHOUT_CODE =
  /^@types\/|^@octokit\/.*types$|^@aws-sdk\/types$|^@smithy\/fetch-http-handler$|^tslib$/;

/** ncc puts a stub of its own where ws looks for optional packages, which are not installed. */
const STUBS = ['@vercel/ncc'];

test('dist/licenses.txt has every package that the action needs at run time', () => {
  const lock = join(import.meta.dirname, '../../package-lock.json');
  const packages: Record<string, LockEntry> = JSON.parse(readFileSync(lock, 'utf8')).packages;
  const needed = Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && !dev)
    .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
    .filter((name) => !WITHOUT_CODE.test(name));
  expect(needed.length).toBeGreaterThan(15);
  // A package can be bundled in two versions, each with its notice.
  const named = new Set(readNoticeNames(readFileSync(NOTICES, 'utf8')));
  expect([...named]).toEqual([...new Set([...needed, ...STUBS])].sort());
});
