import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import type { Request } from '../request.ts';
import { BACKEND_FILE, renderBackend, renderTfvars, TFVARS_FILE } from '../terraform/files.ts';
import { writeResult } from './result.ts';

/** The generated directory. */
export interface GenerateResult {
  readonly directory: string;
  /** File names in it. */
  readonly files: readonly string[];
}

/**
 * Turns the request into a Terraform directory: the static templates as they are, and the values as JSON.
 * `publicKey` may be null; then `plan` supplies it.
 */
export async function generate(
  request: Pick<Request, 'spec' | 'backend'>,
  options: { directory: string; templates: string; publicKey: string | null },
): Promise<GenerateResult> {
  const { directory, templates, publicKey } = options;
  await mkdir(directory, { recursive: true });
  const templateFiles = (await readdir(templates)).filter((name) => name.endsWith('.tf'));
  await refuseForeignFiles(directory, [...templateFiles, TFVARS_FILE, BACKEND_FILE]);
  await Promise.all([
    ...templateFiles.map((name) => copyFile(join(templates, name), join(directory, name))),
    writeFile(join(directory, TFVARS_FILE), renderTfvars(request.spec, publicKey)),
    writeFile(join(directory, BACKEND_FILE), renderBackend(request.backend)),
  ]);
  const result = { directory, files: [...templateFiles, TFVARS_FILE, BACKEND_FILE].sort() };
  await writeResult(directory, 'generate', result);
  return result;
}

/** Terraform reads every such file in its directory: one that somebody put there would run with the plan. */
async function refuseForeignFiles(directory: string, own: readonly string[]): Promise<void> {
  const foreign = (await readdir(directory)).filter(
    (name) => /\.(tf|tfvars)(\.json)?$/.test(name) && !own.includes(name),
  );
  if (foreign.length === 0) return;
  throw new UserError(
    `working-directory: ${directory} holds Terraform files that the action did not write (${foreign.join(', ')}). Remove them, or give the action a folder of its own.`,
  );
}
