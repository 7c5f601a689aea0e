import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Makes a PATH whose `program` runs other commands first and then becomes the real one, with the same arguments.
 * @param options.folder where a folder for it is created
 * @param options.before lines of sh(1)
 * @param options.path the PATH with the real program, by default the caller's
 */
export function wrapProgram(options: {
  folder: string;
  program: string;
  before: string;
  path?: string;
}): string {
  const { folder, program, before, path = process.env.PATH ?? '' } = options;
  const env = { ...process.env, PATH: path };
  const real = execFileSync('which', [program], { encoding: 'utf8', env }).trim();
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, program), `#!/bin/sh\n${before}\nexec '${real}' "$@"\n`);
  chmodSync(join(bin, program), 0o755);
  return `${bin}${delimiter}${path}`;
}

/**
 * Makes a PATH whose Terraform works with a lab's AWS. The action passes Terraform no variable that controls it, so
 * these are set in a wrapper of the program.
 * @param options.folder where a folder for it is created
 * @param options.reattach the value of TF_REATTACH_PROVIDERS
 * @param options.before more lines of sh(1)
 * @param options.path the PATH with the real Terraform, by default the caller's
 */
export function reachAws(options: {
  folder: string;
  reattach: string;
  before?: string;
  path?: string;
}): string {
  const { reattach, before = '', ...rest } = options;
  const variable = `export TF_REATTACH_PROVIDERS='${reattach}'`;
  return wrapProgram({ ...rest, program: 'terraform', before: `${variable}\n${before}` });
}
