import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  await Promise.all([
    ...templateFiles.map((name) => copyFile(join(templates, name), join(directory, name))),
    writeFile(join(directory, TFVARS_FILE), renderTfvars(request.spec, publicKey)),
    writeFile(join(directory, BACKEND_FILE), renderBackend(request.backend)),
  ]);
  const result = { directory, files: [...templateFiles, TFVARS_FILE, BACKEND_FILE].sort() };
  await writeResult(directory, 'generate', result);
  return result;
}
