import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ReleaseMirror, startMirror } from '../../lab/tools/release-mirror.ts';
import { findTerraform, INSTALLED_VERSION, installTerraform } from './install.ts';

let folder: string;
let mirror: ReleaseMirror;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'install-test-'));
  vi.stubEnv('RUNNER_TEMP', join(folder, 'temp'));
  vi.stubEnv('RUNNER_TOOL_CACHE', join(folder, 'cache'));
  mirror = await startMirror({ version: INSTALLED_VERSION });
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await mirror.close();
  rmSync(folder, { recursive: true });
});

const log = () => {};

const install = (options: Partial<Parameters<typeof installTerraform>[0]> = {}) =>
  installTerraform({ releasesUrl: mirror.url, sums: mirror.sums, log, ...options });

describe('installTerraform', () => {
  test('installs a verified release once', async () => {
    const binary = await install();
    expect(execFileSync(binary.path, { encoding: 'utf8' })).toContain(INSTALLED_VERSION);
    expect(mirror.requests).toHaveLength(1);
    expect(await install()).toEqual(binary);
    expect(mirror.requests).toHaveLength(1);
  });

  test('refuses an archive with another checksum, even if its host publishes that one', async () => {
    await expect(install({ sums: undefined })).rejects.toThrow(
      /has SHA-256 [0-9a-f]{64}, the release of HashiCorp has [0-9a-f]{64}\. Nothing was installed\. Check what lies between/,
    );
    await expect(install()).resolves.toMatchObject({ version: INSTALLED_VERSION });
  });

  test('refuses a platform without a known archive', async () => {
    await expect(install({ sums: { plan9_mips: '0'.repeat(64) } })).rejects.toThrow(
      /^terraform-binary: neither .* is on PATH, and for \w+_\w+ none is installed \(only for plan9_mips\)\. Install one/,
    );
    expect(mirror.requests).toEqual([]);
  });

  test('explains what to do if the download fails', async () => {
    await expect(install({ releasesUrl: `${mirror.url}/none` })).rejects.toThrow(
      /^terraform-binary: .* and http:\S+\/none\/terraform\/1\.11\.4\/\S+\.zip cannot be read \(.*404.*\)\. Install one/,
    );
  });
});

describe('findTerraform', () => {
  /** Puts a program into a folder that answers `version` with a line, and with its exit code. */
  function place(name: string, answer: string, { directory = 'bin', exitCode = 0 } = {}): string {
    const path = join(folder, directory, name);
    mkdirSync(join(folder, directory), { recursive: true });
    // Any other command is a defect of this test.
    const script = `#!/bin/sh\n[ "$*" = version ] || exit 9\nprintf '%s\\n' '${answer}'\nexit ${exitCode}\n`;
    writeFileSync(path, script);
    chmodSync(path, 0o755);
    return path;
  }

  const find = (options: { name?: string; usesLockfile?: boolean } = {}) =>
    findTerraform({
      usesLockfile: false,
      releasesUrl: mirror.url,
      sums: mirror.sums,
      log,
      ...options,
    });

  beforeEach(() => {
    vi.stubEnv('PATH', `${join(folder, 'bin')}:/usr/bin:/bin`);
    for (const name of ['TERRAFORM_CLI_PATH', 'TOFU_CLI_PATH']) vi.stubEnv(name, undefined);
  });

  test.each<[string, boolean, RegExp | null]>([
    ['Terraform v1.5.6', false, null],
    ['Terraform v1.5.5', false, /terraform is Terraform 1\.5\.5, needed is 1\.5\.6 or later\. Put/],
    ['Terraform v1.9.8', true, /Terraform 1\.9\.8, needed is 1\.10\.0 or later \(the s3 backend/],
    ['Terraform v1.10.0', true, null],
    ['OpenTofu v1.6.0', false, null],
    ['OpenTofu v1.5.9', false, /terraform is OpenTofu 1\.5\.9, needed is 1\.6\.0 or later/],
    ['OpenTofu v1.9.1', true, /OpenTofu 1\.9\.1, needed is 1\.10\.0 or later \(the s3 backend/],
    ['OpenTofu v1.10.0', true, null],
  ])('%s on PATH, lock file %s', async (answer, usesLockfile, expected) => {
    const path = place('terraform', answer);
    const [product, version] = answer.split(' v');
    if (expected === null) {
      expect(await find({ usesLockfile })).toEqual({ path, version, product });
    } else {
      await expect(find({ usesLockfile })).rejects.toThrow(expected);
    }
    expect(mirror.requests).toEqual([]);
  });

  test('ignores other output of the program', async () => {
    place('terraform', `A warning.\nTerraform v1.12.0-rc1\non linux_amd64\n\nYour version is old!`);
    expect(await find()).toMatchObject({ product: 'Terraform', version: '1.12.0-rc1' });
  });

  test('prefers terraform to tofu, and tofu to an installation', async () => {
    const tofu = place('tofu', 'OpenTofu v1.10.6');
    expect(await find()).toEqual({ path: tofu, version: '1.10.6', product: 'OpenTofu' });
    const terraform = place('terraform', 'Terraform v1.11.4');
    expect((await find()).path).toBe(terraform);
    expect(mirror.requests).toEqual([]);
  });

  test('installs Terraform if PATH has neither', async () => {
    const binary = await find({ usesLockfile: true });
    expect(binary.path).toContain(join(folder, 'cache'));
    expect(binary).toMatchObject({ version: INSTALLED_VERSION, product: 'Terraform' });
  });

  test('finds a program by name and by path', async () => {
    place('terraform', 'Terraform v1.11.4');
    const tofu = place('tofu', 'OpenTofu v1.10.6');
    const other = place('tf', 'OpenTofu v1.11.0', { directory: 'tools here' });
    expect((await find({ name: 'tofu' })).path).toBe(tofu);
    expect((await find({ name: other })).path).toBe(other);
    expect((await find({ name: relative(process.cwd(), other) })).path).toBe(other);
  });

  test.each<[string, string, RegExp]>([
    ['nowhere on PATH', 'tofoo', /^terraform-binary: "tofoo" is not on PATH\. Install it before/],
    [
      'no file',
      './none/tofu',
      /"\.\/none\/tofu" is no executable file \(looked for \/.+\/none\/tofu/,
    ],
    ['a folder', '/tmp', /"\/tmp" is no executable file/],
  ])('refuses a named program that is %s', async (_, name, expected) => {
    place('terraform', 'Terraform v1.11.4');
    await expect(find({ name })).rejects.toThrow(expected);
    expect(mirror.requests).toEqual([]);
  });

  test.each<[string, string, number, RegExp]>([
    ['prints something else', 'Packer v1.11.4', 0, /is neither .* it says "Packer v1\.11\.4"/],
    ['fails to print a version', 'none set', 3, /is neither .* it says ".* exited with 3"/],
  ])('refuses a program that %s', async (_, answer, exitCode, expected) => {
    place('terraform', answer, { exitCode });
    await expect(find()).rejects.toThrow(expected);
    await expect(find()).rejects.toThrow(/Repair or remove it, or name another\.$/);
    await expect(find({ name: 'terraform' })).rejects.toThrow(/"\. Name another\.$/);
  });

  test('refuses a program that cannot be started', async () => {
    const path = place('terraform', '');
    writeFileSync(path, '#!/no/such/interpreter\n');
    await expect(find()).rejects.toThrow(/is neither Terraform nor OpenTofu/);
  });

  test.each([
    ['terraform', 'TERRAFORM_CLI_PATH', 'Terraform v1.11.4'],
    ['tofu', 'TOFU_CLI_PATH', 'OpenTofu v1.10.6'],
  ])("%s without the wrapper of its project's setup action", async (name, variable, answer) => {
    place(name, 'the wrapper');
    const wrapped = place(`${name}-bin`, answer, { directory: 'wrapped' });
    vi.stubEnv(variable, join(folder, 'wrapped'));
    expect((await find()).path).toBe(wrapped);
    expect((await find({ name })).path).toBe(wrapped);
  });

  test('disables the update check', async () => {
    const path = place('terraform', '');
    writeFileSync(path, '#!/bin/sh\necho "Terraform v1.11.$CHECKPOINT_DISABLE"\n');
    expect(await find()).toMatchObject({ version: '1.11.1' });
  });
});
