import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { runShortCommand } from '../short-command.ts';
import { compareVersions } from '../version.ts';

/** The oldest Terraform the templates are written for. */
const MINIMUM_VERSION = '1.5.6';
/** Native locking of the s3 backend appeared here. */
const MINIMUM_FOR_LOCKFILE = '1.10.0';
/** Installed where PATH has none. */
export const INSTALLED_VERSION = '1.11.4';
const RELEASES_URL = 'https://releases.hashicorp.com';

/** A Terraform to run. */
export interface TerraformBinary {
  readonly path: string;
  readonly version: string;
}

/**
 * Terraform from PATH when it is new enough for the backend, else installed from the release mirror and
 * verified. `releasesUrl` names another mirror with the same layout.
 *
 * @throws UserError when PATH has one that is too old, or a download does not match its published sum
 */
export async function findTerraform(options: {
  usesLockfile: boolean;
  releasesUrl?: string | undefined;
  log: (line: string) => void;
}): Promise<TerraformBinary> {
  const path = findUnwrapped() ?? 'terraform';
  const version = await readVersion(path);
  if (version === null) return installTerraform(options);
  const minimum = options.usesLockfile ? MINIMUM_FOR_LOCKFILE : MINIMUM_VERSION;
  if (compareVersions(version, minimum) >= 0) return { path, version };
  throw new UserError(
    `terraform: PATH has ${version}, needed is ${minimum} or later${
      options.usesLockfile ? ' (the s3 backend locks its state natively since then)' : ''
    }. Remove it to have ${INSTALLED_VERSION} installed, or put a newer one on PATH.`,
  );
}

/** What hashicorp/setup-terraform wraps: its wrapper passes no signal on, so a cancel would kill an apply. */
function findUnwrapped(): string | null {
  const folder = process.env.TERRAFORM_CLI_PATH;
  const path = folder === undefined ? null : join(folder, 'terraform-bin');
  return path !== null && existsSync(path) ? path : null;
}

async function readVersion(binary: string): Promise<string | null> {
  const output = await runShortCommand(binary, ['version', '-json']);
  if (output === null) return null;
  try {
    return (JSON.parse(output.stdout) as { terraform_version: string }).terraform_version;
  } catch (error) {
    throw new UserError(
      `terraform: the one on PATH does not say its version (exit code ${output.exitCode}: ${output.stderr.trim()}). Repair or remove it.`,
      { cause: error },
    );
  }
}

/**
 * Downloads the release archive and its SHA256SUMS, compares, extracts and caches it in the runner's
 * tool cache.
 *
 * @throws UserError when the sum differs or the archive is not listed
 */
export async function installTerraform(options: {
  releasesUrl?: string | undefined;
  log: (line: string) => void;
}): Promise<TerraformBinary> {
  // Loaded here alone: most runners have Terraform, and every run pays for what is loaded at start.
  const toolCache = await import('@actions/tool-cache');
  const cached = toolCache.find('terraform', INSTALLED_VERSION);
  if (cached) return { path: join(cached, 'terraform'), version: INSTALLED_VERSION };

  const archive = `terraform_${INSTALLED_VERSION}_${platform()}_${arch() === 'x64' ? 'amd64' : arch()}.zip`;
  const base = `${options.releasesUrl ?? RELEASES_URL}/terraform/${INSTALLED_VERSION}`;
  options.log(`Installing Terraform ${INSTALLED_VERSION} from ${base}`);
  const [archivePath, sumsPath] = await Promise.all([
    toolCache.downloadTool(`${base}/${archive}`),
    toolCache.downloadTool(`${base}/terraform_${INSTALLED_VERSION}_SHA256SUMS`),
  ]);
  const published = findSum(await readFile(sumsPath, 'utf8'), archive);
  const actual = createHash('sha256')
    .update(await readFile(archivePath))
    .digest('hex');
  if (published !== actual) {
    throw new UserError(
      `terraform: ${base}/${archive} has SHA-256 ${actual}, published is ${published ?? 'none'}. Nothing was installed. Try again, or check what lies between the runner and the mirror.`,
    );
  }
  const folder = await toolCache.cacheDir(
    await toolCache.extractZip(archivePath),
    'terraform',
    INSTALLED_VERSION,
  );
  return { path: join(folder, 'terraform'), version: INSTALLED_VERSION };
}

function findSum(sums: string, file: string): string | null {
  const line = sums.split('\n').find((text) => text.endsWith(`  ${file}`));
  return line?.split(' ')[0] ?? null;
}
