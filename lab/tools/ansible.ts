import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { compareVersions } from '../../src/process/version.ts';
import { unpackPackage } from './debian-package.ts';

/** The first ansible-core that supports the Python of Debian 13 on a node (its documentation, "Support matrix"). */
const WANTED = '2.18.0';

/** The version of a PATH's ansible-core, e.g. `2.14.18`. */
export function readAnsibleVersion(path: string): string {
  const env = { ...process.env, PATH: path };
  const text = execFileSync('ansible-playbook', ['--version'], { encoding: 'utf8', env });
  return /\[core (\d+\.\d+\.\d+)/.exec(text)?.[1] ?? '0.0.0';
}

/**
 * Returns a PATH with an ansible-core like those of GitHub's runners: `path` itself, or with Debian 13's package before it
 * if its own is older. That package runs with the libraries of the older one.
 */
export async function findAnsiblePath(path: string): Promise<string> {
  if (compareVersions(readAnsibleVersion(path), WANTED) >= 0) return path;
  const folder = await unpackPackage({ suite: 'trixie', name: 'ansible-core' });
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const program = join(bin, 'ansible-playbook');
  const libraries = join(folder, 'usr/lib/python3/dist-packages');
  const real = join(folder, 'usr/bin/ansible-playbook');
  if (!existsSync(program)) {
    const own = join(bin, `${process.pid}`);
    const script = `#!/bin/sh\nPYTHONPATH='${libraries}' exec /usr/bin/python3 '${real}' "$@"\n`;
    writeFileSync(own, script, { mode: 0o755 });
    renameSync(own, program);
  }
  return `${bin}${delimiter}${path}`;
}
