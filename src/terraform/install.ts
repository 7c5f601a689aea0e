import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { join, resolve } from 'node:path';
import { which } from '@actions/io';
import { CancelledError, UserError } from '../messages/errors.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { chooseEnvironment } from '../process/child-environment.ts';
import { runProcess } from '../process/child-process.ts';
import { compareVersions } from '../process/version.ts';

/** The programs that can apply the templates. */
export type TerraformProduct = 'Terraform' | 'OpenTofu';

/**
 * The oldest releases that read the templates, and the oldest whose s3 backend supports `use_lockfile`. OpenTofu's first
 * release is based on Terraform 1.6.
 */
const MIN_VERSIONS: Readonly<Record<TerraformProduct, { templates: string; lockfile: string }>> = {
  Terraform: { templates: '1.5.6', lockfile: '1.10.0' },
  OpenTofu: { templates: '1.6.0', lockfile: '1.10.0' },
};

/**
 * hashicorp/setup-terraform and opentofu/setup-opentofu put wrappers on PATH that do not forward signals, so a cancel
 * would kill an apply. These variables locate the wrapped programs.
 */
const WRAPPED: Readonly<Record<string, { variable: string; file: string }>> = {
  terraform: { variable: 'TERRAFORM_CLI_PATH', file: 'terraform-bin' },
  tofu: { variable: 'TOFU_CLI_PATH', file: 'tofu-bin' },
};

/** Searched in this order if the input names no program. */
const DEFAULT_NAMES = ['terraform', 'tofu'];
const INPUT = 'terraform-binary';
/** Installed if PATH has neither program. */
export const INSTALLED_VERSION = '1.11.4';
const RELEASES_URL = 'https://releases.hashicorp.com';

/**
 * SHA-256 of the archives of `INSTALLED_VERSION`, by platform, from HashiCorp's `terraform_1.11.4_SHA256SUMS`. They are
 * kept here because a sum from the archive's own host proves nothing if that host is compromised. Update them with the
 * version.
 */
const ARCHIVE_SUMS: Readonly<Record<string, string>> = {
  linux_amd64: '1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc',
  linux_arm64: 'a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633',
  darwin_amd64: 'a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b',
  darwin_arm64: '867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18',
};

/** A Terraform or OpenTofu to run. */
export interface TerraformBinary {
  /** Absolute. */
  readonly path: string;
  readonly version: string;
  readonly product: TerraformProduct;
}

/** Options of the search. */
export interface TerraformSearch {
  /** The input `terraform-binary`: a program on PATH, or a path relative to the workspace; null if it is empty. */
  readonly name?: string | null;
  /** Whether the s3 backend locks its state with a file. */
  readonly usesLockfile: boolean;
  /** A release mirror with the layout of releases.hashicorp.com. */
  readonly releasesUrl?: string | undefined;
  /** SHA-256 (hex) of the archive to install, by platform; by default those of HashiCorp's release. */
  readonly sums?: Readonly<Record<string, string>> | undefined;
  readonly log: (line: string) => void;
}

/**
 * Returns the named program, else `terraform` on PATH, else `tofu` on PATH, else Terraform from the release mirror,
 * verified. Asks the program for its product and version, because its name does not prove them.
 *
 * @throws UserError if the named program is missing, if the program found is neither product or too old, or if the
 *   download fails or its checksum differs
 */
export async function findTerraform(search: TerraformSearch): Promise<TerraformBinary> {
  const { name = null, usesLockfile, log } = search;
  const path = name === null ? await findDefault() : await findNamed(name);
  if (path === null) return installTerraform(search);
  const found = await readProduct(path, name !== null);
  const { templates, lockfile } = MIN_VERSIONS[found.product];
  const minimum = usesLockfile ? lockfile : templates;
  if (compareVersions(found.version, minimum) < 0) {
    const why = usesLockfile ? ' (the s3 backend locks its state natively since then)' : '';
    throw new UserError(
      `${INPUT}: ${path} is ${found.product} ${found.version}, needed is ${minimum} or later${why}. Put a newer one there, or name another${
        name === null ? `; with none on PATH, Terraform ${INSTALLED_VERSION} is installed` : ''
      }.`,
    );
  }
  log(`Using ${found.product} ${found.version} (${path})`);
  return { path, ...found };
}

async function findDefault(): Promise<string | null> {
  for (const name of DEFAULT_NAMES) {
    const path = findUnwrapped(name) ?? (await findOnPath(name));
    if (path !== null) return path;
  }
  return null;
}

async function findNamed(name: string): Promise<string> {
  // Terraform runs in another folder, where a relative path would name another file.
  const isPath = name.includes('/');
  const path = isPath
    ? await findOnPath(resolve(name))
    : (findUnwrapped(name) ?? (await findOnPath(name)));
  if (path !== null) return path;
  const found = isPath ? `is no executable file (looked for ${resolve(name)})` : 'is not on PATH';
  throw new UserError(
    `${INPUT}: ${quoteValue(name)} ${found}. Install it before this step, e.g. with opentofu/setup-opentofu or hashicorp/setup-terraform, or leave the input empty, so that Terraform is installed.`,
  );
}

async function findOnPath(name: string): Promise<string | null> {
  const path = await which(name);
  return path === '' ? null : resolve(path);
}

function findUnwrapped(name: string): string | null {
  const wrapped = WRAPPED[name];
  const folder = wrapped && process.env[wrapped.variable];
  const path = wrapped && folder ? resolve(folder, wrapped.file) : null;
  return path !== null && existsSync(path) ? path : null;
}

/** Reads product and version from `version`: the first line begins with the product, which `version -json` omits. */
async function readProduct(
  path: string,
  isNamed: boolean,
): Promise<{ product: TerraformProduct; version: string }> {
  const answer = await readVersionOutput(path);
  const match = /^(Terraform|OpenTofu) v(\d+\.\d+\.\d+\S*)/m.exec(answer);
  if (match) return { product: match[1] as TerraformProduct, version: match[2] as string };
  const nextStep = isNamed ? 'Name another' : 'Repair or remove it, or name another';
  throw new UserError(
    `${INPUT}: ${path} is neither Terraform nor OpenTofu; asked for its version it says ${quoteValue(answer.trim())}. ${nextStep}.`,
  );
}

async function readVersionOutput(path: string): Promise<string> {
  try {
    // Without the update check, which may hang behind a firewall.
    const env = {
      ...chooseEnvironment(process.env, { program: 'terraform' }),
      CHECKPOINT_DISABLE: '1',
      // An invalid configuration in the home directory would fail the command.
      TF_CLI_CONFIG_FILE: '/dev/null',
    };
    return (await runProcess(path, ['version'], { env })).stdout;
  } catch (error) {
    if (error instanceof CancelledError) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Downloads the release archive, compares its SHA-256 with the one in this file, and extracts it to the runner's tool
 * cache. Proxies come from the environment.
 *
 * @throws UserError if the platform has no known archive, the download fails or the sum differs
 */
export async function installTerraform(
  options: Pick<TerraformSearch, 'releasesUrl' | 'sums' | 'log'>,
): Promise<TerraformBinary> {
  const { releasesUrl = RELEASES_URL, sums = ARCHIVE_SUMS, log } = options;
  // Loaded on demand: most runners have Terraform, and modules loaded at start slow down every run.
  const toolCache = await import('@actions/tool-cache');
  const installed = (folder: string): TerraformBinary => ({
    path: join(folder, 'terraform'),
    version: INSTALLED_VERSION,
    product: 'Terraform',
  });
  const cached = toolCache.find('terraform', INSTALLED_VERSION);
  if (cached) return installed(cached);

  const host = `${platform()}_${arch() === 'x64' ? 'amd64' : arch()}`;
  const expected = sums[host];
  if (expected === undefined) {
    throw new UserError(
      `${INPUT}: neither Terraform nor OpenTofu is on PATH, and for ${host} none is installed (only for ${Object.keys(sums).join(', ')}). Install one of them before this step.`,
    );
  }
  const url = `${releasesUrl}/terraform/${INSTALLED_VERSION}/terraform_${INSTALLED_VERSION}_${host}.zip`;
  log(`Installing Terraform ${INSTALLED_VERSION} from ${url}`);
  const archive = await downloadArchive(url, (address) => toolCache.downloadTool(address));
  const actual = createHash('sha256')
    .update(await readFile(archive))
    .digest('hex');
  if (actual !== expected) {
    throw new UserError(
      `terraform: ${url} has SHA-256 ${actual}, the release of HashiCorp has ${expected}. Nothing was installed. Check what lies between the runner and ${releasesUrl}, or install Terraform or OpenTofu before this step.`,
    );
  }
  return installed(
    await toolCache.cacheDir(await toolCache.extractZip(archive), 'terraform', INSTALLED_VERSION),
  );
}

async function downloadArchive(
  url: string,
  download: (url: string) => Promise<string>,
): Promise<string> {
  try {
    return await download(url);
  } catch (error) {
    throw new UserError(
      `${INPUT}: neither Terraform nor OpenTofu is on PATH, and ${url} cannot be read (${error instanceof Error ? error.message : String(error)}). Install one of them before this step, or let the runner reach that address, through a proxy named in https_proxy if need be.`,
      { cause: error },
    );
  }
}
