import { type ExecOutput, getExecOutput } from '@actions/exec';
import { which } from '@actions/io';

/**
 * Runs a command that ends within a moment, e.g. `ssh-keygen -y`, with `env` as its whole environment. Its working
 * directory is `/`, because programs would read configuration files from the checkout. Returns its exit code and output,
 * or null if the program is not on PATH. A cancel does not reach it; see `runProcess` for commands that take longer.
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
