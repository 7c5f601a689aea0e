import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findAnsiblePath, readAnsibleVersion } from './ansible.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgca-ansible-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A PATH whose ansible-playbook reports a version. */
function pretend(version: string): string {
  const program = join(folder, 'ansible-playbook');
  writeFileSync(program, `#!/bin/sh\necho 'ansible-playbook [core ${version}]'\n`);
  chmodSync(program, 0o755);
  return `${folder}${delimiter}${process.env.PATH}`;
}

test.each(['2.18.0', '2.21.5'])('a PATH with ansible-core %s stays as it is', async (version) => {
  const path = pretend(version);
  expect(readAnsibleVersion(path)).toBe(version);
  expect(await findAnsiblePath(path)).toBe(path);
});
