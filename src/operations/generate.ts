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

/** What is generated for one cluster, by file name; everything else in the directory is static. */
type Values = Readonly<Record<typeof TFVARS_FILE | typeof BACKEND_FILE, string>>;

/**
 * Turns the inputs into a Terraform directory: the static templates as they are, and the values as JSON. The directory
 * is made anew, so that nothing is in it but that. `publicKey` may be null; then `plan` supplies it.
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

/**
 * Makes the directory anew from the values that an earlier step of the job generated there; returns null where none did.
 */
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
  // Terraform reads every file of its directory, and starts programs that lie below it.
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
