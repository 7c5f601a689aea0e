import { join } from 'node:path';
import type { Operation } from '../runner/intent.ts';
import { writeSecretFile } from '../runner/workspace.ts';

/** Leaves an operation's result as JSON beside the Terraform files and gives its path. */
export async function writeResult(
  directory: string,
  operation: Operation,
  result: unknown,
): Promise<string> {
  const path = join(directory, `${operation}.json`);
  // Terraform's JSON shows sensitive values in clear, so no result is readable by others.
  await writeSecretFile(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
}
