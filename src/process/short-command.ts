import { type ExecOutput, getExecOutput } from '@actions/exec';
import { which } from '@actions/io';

/**
 * Runs a command that ends by itself within a moment and needs no cancel, e.g. `ssh-keygen -y`, with `env` as its whole
 * environment, at the root of the file system: this process starts in the checkout, where programs would read
 * configuration. Returns its exit code and output, or null when the program is not on PATH. What runs longer goes
 * through `process.ts`, which passes a cancel on.
 */
export async function runShortCommand(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<ExecOutput | null> {
  const path = await which(command);
  if (path === '') return null;
  return getExecOutput(`"${path}"`, [...args], {
    cwd: '/',
    env: { ...env },
    silent: true,
    ignoreReturnCode: true,
  });
}
