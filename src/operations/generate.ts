import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backend, Inputs } from '../inputs/inputs.ts';
import {
  BACKEND_FILE,
  renderBackend,
  renderTfvars,
  TFVARS_FILE,
} from '../terraform/generated-files.ts';
import { writeResult } from './result.ts';

/** The generated directory. */
export interface GenerateResult {
  readonly directory: string;
  /** File names in it. */
  readonly files: readonly string[];
}

/** The generated files of one cluster, by name; all other files in the directory are static. */
type Values = Readonly<Record<typeof TFVARS_FILE | typeof BACKEND_FILE, string>>;

/**
 * Generates a Terraform directory from the inputs: the static templates, and the values as JSON. The directory is
 * recreated, so it contains nothing else. `publicKey` may be null; then `plan` supplies it.
 */
export async function generate(
  inputs: Pick<Inputs, 'spec'> & { readonly backend: Backend },
  options: { directory: string; templates: string; publicKey: string | null },
): Promise<GenerateResult> {
  return writeDirectory(options, {
    [TFVARS_FILE]: renderTfvars(inputs.spec, options.publicKey),
    [BACKEND_FILE]: renderBackend(inputs.backend),
  });
}

/** Recreates the directory with the values that an earlier step of the job generated there; returns null if none did. */
export async function regenerate(options: {
  directory: string;
  templates: string;
}): Promise<GenerateResult | null> {
  const read = (name: string) => readFile(join(options.directory, name), 'utf8');
  try {
    const [values, backend] = await Promise.all([read(TFVARS_FILE), read(BACKEND_FILE)]);
    return await writeDirectory(options, { [TFVARS_FILE]: values, [BACKEND_FILE]: backend });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function writeDirectory(
  { directory, templates }: { directory: string; templates: string },
  values: Values,
): Promise<GenerateResult> {
  const templateFiles = (await readdir(templates)).filter((name) => name.endsWith('.tf'));
  // Terraform reads every file in its directory, and runs programs below it.
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await Promise.all([
    ...templateFiles.map((name) => copyFile(join(templates, name), join(directory, name))),
    ...Object.entries(values).map(([name, text]) => writeFile(join(directory, name), text)),
  ]);
  const result = { directory, files: [...templateFiles, ...Object.keys(values)].sort() };
  await writeResult(directory, 'generate', result);
  return result;
}
