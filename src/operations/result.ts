import { join } from 'node:path';
import type { Operation } from '../runner/intent.ts';
import { writeSecretFile } from '../runner/workspace.ts';

/** Writes an operation's result as JSON beside the Terraform files and returns its path. */
export async function writeResult(
  directory: string,
  operation: Operation,
  result: unknown,
): Promise<string> {
  const path = join(directory, `${operation}.json`);
  // Terraform's JSON contains sensitive values in plain text: only this user may read it.
  await writeSecretFile(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
}
