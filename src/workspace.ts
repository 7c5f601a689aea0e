import { randomUUID } from 'node:crypto';
import { mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { UserError } from './errors.ts';

/** The folders of one run. */
export interface Workspace {
  /** The Terraform directory of the cluster; its files may be kept and looked at. */
  readonly directory: string;
  /** Secrets and plan files, only for this user; removed when the job ends. */
  readonly temporary: string;
}

/**
 * Where the run works: `workingDirectory` inside the checked-out repository, and a private folder below
 * the runner's own temporary one. Makes the private one.
 *
 * @throws UserError when the working directory lies outside the repository
 */
export async function openWorkspace(options: {
  root: string;
  workingDirectory: string;
  runnerTemp: string;
}): Promise<Workspace> {
  await mkdir(options.root, { recursive: true });
  const root = await realpath(options.root);
  await mkdir(resolve(root, options.workingDirectory), { recursive: true });
  // A link in the repository must not lead the action's writes elsewhere.
  const directory = await realpath(resolve(root, options.workingDirectory));
  const inside = relative(root, directory);
  if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) {
    throw new UserError(
      `working-directory: ${JSON.stringify(options.workingDirectory)} is not a folder inside the workspace ${options.root}. Give one below it, e.g. infrastructure/postgres.`,
    );
  }
  const temporary = join(options.runnerTemp, `postgres-cluster-${randomUUID()}`);
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  return { directory, temporary };
}

/** Writes a file that only this user can read, from its first byte on. */
export async function writeSecretFile(path: string, content: string): Promise<void> {
  // The mode counts only for a new file.
  await rm(path, { force: true });
  await writeFile(path, content, { mode: 0o600, flag: 'wx' });
}
