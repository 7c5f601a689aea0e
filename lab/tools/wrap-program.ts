import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes a PATH whose `program` does something else first and then becomes the real one, with the same arguments.
 * @param folder where a folder for it is made
 * @param before lines of sh(1)
 */
export function wrapProgram(folder: string, program: string, before: string): string {
  const real = execFileSync('which', [program], { encoding: 'utf8' }).trim();
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, program), `#!/bin/sh\n${before}\nexec '${real}' "$@"\n`);
  chmodSync(join(bin, program), 0o755);
  return `${bin}:${process.env.PATH}`;
}
