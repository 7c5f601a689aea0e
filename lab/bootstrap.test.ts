import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgca-bootstrap-'));
  copyFileSync(join(root, 'lab/bootstrap.mjs'), join(folder, 'bootstrap.mjs'));
  writeFileSync(join(folder, 'machine.mjs'), "console.log('prepared');\n");
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Runs the copy, beside a machine.mjs that changes nothing, with a Node that reports `version`. */
function runWith(version: string) {
  const preload = join(folder, 'version.cjs');
  const versions = `{ value: { ...process.versions, node: '${version}' } }`;
  writeFileSync(
    preload,
    `Object.defineProperty(process, 'versions', ${versions});
Object.defineProperty(process, 'version', { value: 'v${version}' });\n`,
  );
  return spawnSync(process.execPath, ['--require', preload, join(folder, 'bootstrap.mjs')], {
    encoding: 'utf8',
  });
}

test.each(['12.22.12', '18.20.4', '20.10.0'])(
  'bootstrap refuses Node %s in one sentence',
  (old) => {
    const { status, stdout, stderr } = runWith(old);
    expect(stderr).toBe(`The lab requires Node 20.11 or later; this is v${old}.\n`);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  },
);

test.each(['20.11.0', '22.1.0', '24.0.0'])('bootstrap runs on Node %s', (version) => {
  const { status, stdout } = runWith(version);
  expect(stdout).toBe('prepared\n');
  expect(status).toBe(0);
});

test('package.json requires the same Node as bootstrap', () => {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(engines.node).toBe('>=20.11');
});
