import { join } from 'node:path';
import { chooseEnvironment, type Environment } from '../process/child-environment.ts';
import { childTemporary, writeSecretFile } from '../runner/workspace.ts';
import { renderCliConfig } from './generated-files.ts';

/**
 * Returns Terraform's environment. If the runner names no CLI configuration, the action writes its own to the job's
 * private folder.
 *
 * @param options.backend the type of the backend, whose credentials are passed on
 * @param options.temporary the job's private folder
 */
export async function prepareEnvironment(
  inherited: Environment,
  { backend, temporary }: { backend: string; temporary: string },
): Promise<Record<string, string>> {
  const environment = chooseEnvironment(inherited, {
    program: 'terraform',
    backend,
    temporary: childTemporary({ temporary }),
  });
  if (environment.TF_CLI_CONFIG_FILE) return environment;
  const file = join(temporary, 'terraform.rc');
  await writeSecretFile(file, renderCliConfig());
  return { ...environment, TF_CLI_CONFIG_FILE: file };
}
