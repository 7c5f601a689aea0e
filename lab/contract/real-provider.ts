import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { TEMPLATES } from '../templates/workspace.ts';

/** A filesystem mirror (Terraform's documentation, "CLI configuration") with a release of the real provider. */
export interface RealProvider {
  readonly mirror: string;
  /** `5.100.0` */
  readonly version: string;
}

/** Why tests with the real provider do not run. */
export const SKIPPED =
  'no real hashicorp/aws on this machine: set LAB_PROVIDER_MIRROR to a filesystem mirror (lab/README.md)';

const PLACE = join('registry.terraform.io', 'hashicorp', 'aws');
const HOST = `${platform()}_${arch() === 'x64' ? 'amd64' : arch()}`;

/** Finds a mirror with the real provider: the one that LAB_PROVIDER_MIRROR names, else one on this machine's disk. */
export function findRealProvider(): RealProvider | null {
  const mirrors = [process.env.LAB_PROVIDER_MIRROR ?? '', ...searchDisk()].filter(Boolean);
  for (const mirror of mirrors) {
    const folder = join(mirror, PLACE);
    const versions = existsSync(folder) ? readdirSync(folder) : [];
    const version = versions
      .filter((name) => existsSync(join(folder, name, HOST)))
      .sort((left, right) => left.localeCompare(right, 'en', { numeric: true }))
      .at(-1);
    if (version !== undefined) return { mirror, version };
  }
  return null;
}

/** Mirrors on this file system; the size tells the real provider from the lab's own releases (lab/tools). */
function searchDisk(): string[] {
  if (process.env.LAB_PROVIDER_MIRROR) return [];
  const args = ['/', '-xdev', '-name', 'terraform-provider-aws_v*', '-size', '+100M'];
  let found = '';
  try {
    found = execFileSync('find', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    // find(1) ends with 1 if it may not read a folder; it has still printed the rest.
    found = String((error as { stdout?: unknown }).stdout ?? '');
  }
  return found
    .split('\n')
    .filter((path) => path.includes(`/${PLACE}/`))
    .map((path) => path.slice(0, path.indexOf(`/${PLACE}/`)));
}

/** The real provider as a server. */
export interface ProviderServer {
  /** The value of TF_REATTACH_PROVIDERS. */
  readonly reattach: string;
  stop(): void;
}

/**
 * Starts the real provider once for all commands. A command that starts it itself needs more than twice the time: it loads
 * 700 MB and builds 1,500 schemas. `environment` has the credentials.
 */
export async function serveRealProvider(
  { mirror, version }: RealProvider,
  environment: Readonly<Record<string, string>>,
): Promise<ProviderServer> {
  const folder = join(mirror, PLACE, version, HOST);
  const program = readdirSync(folder).find((name) => name.startsWith('terraform-provider-aws_'));
  if (program === undefined) throw new Error(`${folder} has no provider`);
  const env = { ...process.env, ...environment };
  // It can be configured with certificates of one's own once only, and here it speaks plain HTTP.
  delete env.AWS_CA_BUNDLE;
  const child = spawn(join(folder, program), ['-debug'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const reattach = await new Promise<string>((resolve, reject) => {
    let printed = '';
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${program} ended with ${code}: ${printed}`)));
    const read = (text: string) => {
      printed += text;
      const value = /TF_REATTACH_PROVIDERS='(.*)'/.exec(printed)?.[1];
      if (value !== undefined) resolve(value);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', read);
  });
  // It must not stop at a full pipe.
  for (const stream of [child.stdout, child.stderr]) stream.removeAllListeners('data').resume();
  return { reattach, stop: () => child.kill() };
}

/** Writes a CLI configuration that takes every provider from the mirror; returns the file for TF_CLI_CONFIG_FILE. */
export function writeCliConfig(folder: string, { mirror }: Pick<RealProvider, 'mirror'>): string {
  const file = join(folder, 'terraform.rc');
  const path = JSON.stringify(mirror);
  writeFileSync(
    file,
    `provider_installation {\n  filesystem_mirror {\n    path = ${path}\n  }\n}\n`,
  );
  return file;
}

/** What only 6.x has: by file, the text to take out or to change, which must occur exactly once. */
const ONLY_IN_6: readonly [file: string, text: RegExp, instead: (version: string) => string][] = [
  ['versions.tf', /"~> 6\.8"/g, (version) => `"${version}"`],
  ['nodes.tf', /^ {2}force_destroy {2,}= true\n/gm, () => ''],
  [
    'security.tf',
    /^ {4}precondition \{\n {6}condition {5}= aws_key_pair\.nodes\.region == var\.region\n.*\n {4}\}\n/gm,
    () => '',
  ],
];

/** The product's templates by file name, as a release of the real provider can plan them. */
export function readTemplates({ version }: Pick<RealProvider, 'version'>): Map<string, string> {
  const names = readdirSync(TEMPLATES).filter((name) => name.endsWith('.tf'));
  const files = new Map(names.map((name) => [name, readFileSync(join(TEMPLATES, name), 'utf8')]));
  if (!version.startsWith('5.')) return files;
  for (const [name, text, instead] of ONLY_IN_6) {
    const before = files.get(name) ?? '';
    const count = before.match(text)?.length ?? 0;
    if (count !== 1) throw new Error(`templates/aws/${name} has ${text} ${count} times, not once`);
    files.set(name, before.replace(text, instead(version)));
  }
  return files;
}
