import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { arch, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findTerraform, INSTALLED_VERSION, installTerraform } from './install.ts';

const ARCHIVE = `terraform_${INSTALLED_VERSION}_${platform()}_${arch() === 'x64' ? 'amd64' : arch()}.zip`;
const SCRIPT = `#!/bin/sh\necho '{"terraform_version":"${INSTALLED_VERSION}"}'\n`;

let folder: string;
let server: Server;
let releasesUrl: string;
let requests: string[];

/** A release mirror with one archive; `sums` is what it publishes for it. */
async function startMirror(sums?: string): Promise<void> {
  writeFileSync(join(folder, 'terraform'), SCRIPT);
  chmodSync(join(folder, 'terraform'), 0o755);
  // Python is on every machine Ansible runs on, zip is not.
  execFileSync(
    'python3',
    [
      '-c',
      `
import zipfile
info = zipfile.ZipInfo('terraform'); info.external_attr = 0o100755 << 16
zipfile.ZipFile('archive.zip', 'w').writestr(info, open('terraform').read())`,
    ],
    { cwd: folder },
  );
  const archive = readFileSync(join(folder, 'archive.zip'));
  const sum = createHash('sha256').update(archive).digest('hex');
  const files: Record<string, Buffer | string> = {
    [`/terraform/${INSTALLED_VERSION}/${ARCHIVE}`]: archive,
    [`/terraform/${INSTALLED_VERSION}/terraform_${INSTALLED_VERSION}_SHA256SUMS`]:
      sums ?? `${'0'.repeat(64)}  terraform_other.zip\n${sum}  ${ARCHIVE}\n`,
  };
  requests = [];
  server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const file = files[request.url ?? ''];
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  releasesUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'install-test-'));
  vi.stubEnv('RUNNER_TEMP', join(folder, 'temp'));
  vi.stubEnv('RUNNER_TOOL_CACHE', join(folder, 'cache'));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

const log = () => {};

describe('installTerraform', () => {
  test('installs a verified release once', async () => {
    await startMirror();
    const binary = await installTerraform({ releasesUrl, log });
    expect(execFileSync(binary.path, { encoding: 'utf8' })).toContain(INSTALLED_VERSION);
    expect(requests).toHaveLength(2);
    expect(await installTerraform({ releasesUrl, log })).toEqual(binary);
    expect(requests).toHaveLength(2);
  });

  test.each([
    ['differs', `${'0'.repeat(64)}  ${ARCHIVE}\n`, /SHA-256 [0-9a-f]{64}, published is 0{64}/],
    ['is not published', 'x  other.zip\n', /published is none/],
  ])('installs nothing when the sum %s', async (_, sums, expected) => {
    await startMirror(sums);
    await expect(installTerraform({ releasesUrl, log })).rejects.toThrow(expected);
  });
});

describe('findTerraform', () => {
  /** A PATH on which `terraform` answers as `version`; null: there is none. */
  function stubPath(version: string | null): void {
    if (version !== null) {
      const path = join(folder, 'terraform');
      writeFileSync(path, `#!/bin/sh\necho '{"terraform_version":"${version}"}'\n`);
      chmodSync(path, 0o755);
    }
    vi.stubEnv('PATH', version === null ? '/usr/bin:/bin' : `${folder}:/usr/bin:/bin`);
  }

  test.each<[string, boolean, string | RegExp]>([
    ['1.5.6', false, '1.5.6'],
    ['1.5.5', false, /PATH has 1\.5\.5, needed is 1\.5\.6 or later/],
    ['1.9.8', true, /PATH has 1\.9\.8, needed is 1\.10\.0 or later \(the s3 backend/],
    ['1.10.0', true, '1.10.0'],
  ])('%s on PATH, lock file %s', async (version, usesLockfile, expected) => {
    await startMirror();
    stubPath(version);
    const found = findTerraform({ usesLockfile, releasesUrl, log });
    if (typeof expected === 'string') {
      expect(await found).toEqual({ path: 'terraform', version: expected });
    } else {
      await expect(found).rejects.toThrow(expected);
    }
    expect(requests).toEqual([]);
  });

  test('none on PATH: it is installed', async () => {
    await startMirror();
    stubPath(null);
    const binary = await findTerraform({ usesLockfile: true, releasesUrl, log });
    expect(binary.path).toContain(join(folder, 'cache'));
  });
});
