import { createHash } from 'node:crypto';
import { cp, lstat, mkdir, mkdtemp, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { readMessage, UserError } from '../messages/errors.ts';
import { quoteValue } from '../messages/quote-value.ts';

/** The directories of one run. Terraform and Ansible read nothing from the checkout. */
export interface Workspace {
  /**
   * Files that outlive the run, inside the checkout: known hosts, the state of a `local` backend, and a state that could
   * not be saved. Created with the first file.
   */
  readonly lasting: string;
  /**
   * The Terraform directory and the operations' results, below the runner's temporary directory. All steps of a job that
   * work on one cluster share it.
   */
  readonly directory: string;
  /**
   * Secrets, plan files and everything that Ansible and ssh read, readable by this user only. Its path is short and has no
   * character with a meaning to ssh, INI or Ansible's templates, whatever the runner's directories are called.
   */
  readonly temporary: string;
}

/** Paths without characters that are special to any program. */
const SAFE_PATH = /^\/[A-Za-z0-9._/-]*$/;
/** A socket's path has at most 107 bytes (unix(7)); ssh and Terraform's plugins add about 50 to a directory's path. */
const MAX_BASE_LENGTH = 45;
/** Directories of Git and GitHub: files written there would run as code. */
const RESERVED = ['.git', '.github'];

/**
 * Chooses and checks the directories of a run, and creates the private one.
 *
 * @param options.root the checkout (`GITHUB_WORKSPACE`)
 * @param options.workingDirectory as given, below `root`
 * @param options.runnerTemp the runner's temporary directory (`RUNNER_TEMP`)
 * @throws UserError if the working directory is not inside the checkout, or no directory for temporary files is found
 */
export async function openWorkspace(options: {
  root: string;
  workingDirectory: string;
  runnerTemp: string;
}): Promise<Workspace> {
  const lasting = await locateLasting(options);
  const base = await chooseBase(options.runnerTemp);
  const temporary = await mkdtemp(join(base, 'pgca-'));
  await mkdir(join(temporary, 'tmp'));
  await mkdir(options.runnerTemp, { recursive: true });
  const name = createHash('sha256').update(lasting).digest('hex').slice(0, 12);
  return {
    lasting,
    directory: join(await realpath(options.runnerTemp), `postgres-cluster-${name}`),
    temporary,
  };
}

/** Returns the folder for temporary files of the programs that a run starts. */
export function childTemporary({ temporary }: Pick<Workspace, 'temporary'>): string {
  return join(temporary, 'tmp');
}

/**
 * Returns the working directory's real path. Creates nothing; missing folders are created as plain folders later.
 *
 * @throws UserError with the reason why the path cannot be used
 */
async function locateLasting({
  root,
  workingDirectory,
}: {
  root: string;
  workingDirectory: string;
}): Promise<string> {
  const refuse = (why: string): never => {
    throw new UserError(
      `working-directory: ${quoteValue(workingDirectory)} ${why}. Give a folder below the workspace ${root}, e.g. infrastructure/postgres.`,
    );
  };
  const start = await realpath(root).catch(() => resolve(root));
  const segments = relative(start, resolve(start, workingDirectory)).split(sep);
  if (segments[0] === '' || segments[0] === '..') refuse('is not inside the workspace');
  let path = start;
  let exists = true;
  for (const segment of segments) {
    path = join(path, segment);
    if (!exists) continue;
    try {
      const found = await lstat(path);
      if (found.isSymbolicLink()) {
        const target = await readlink(path);
        path = await realpath(path).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
          // The folder cannot be created there, and the target may become anything later.
          return refuse(`leads through the link ${segment} to ${target}, which does not exist`);
        });
        if (!isInside(start, path))
          refuse(`leads through the link ${segment} to ${target}, outside the workspace`);
      }
      if (!(await lstat(path)).isDirectory()) refuse(`is not a folder: ${segment} is a file`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') exists = false;
      else if (code === 'ELOOP') refuse(`leads through ${segment}, a link that leads to itself`);
      else if (code === 'ENAMETOOLONG') refuse('has a name that the file system does not allow');
      else if (error instanceof UserError) throw error;
      else refuse(`cannot be looked at (${readMessage(error)})`);
    }
  }
  const reserved = relative(start, path)
    .split(sep)
    .find((segment) => RESERVED.includes(segment.toLowerCase()));
  if (reserved !== undefined) refuse(`lies in ${reserved}, which belongs to Git or GitHub`);
  return path;
}

function isInside(root: string, path: string): boolean {
  const inside = relative(root, path);
  return inside !== '' && inside.split(sep)[0] !== '..' && !isAbsolute(inside);
}

/**
 * Returns the first writable directory with a path that every program takes literally: the runner's, else the system's.
 */
async function chooseBase(runnerTemp: string): Promise<string> {
  const candidates = [...new Set([runnerTemp, tmpdir(), '/tmp', '/var/tmp'])];
  const problems: string[] = [];
  for (const candidate of candidates) {
    const problem = await tryBase(candidate, { make: candidate === runnerTemp });
    if (problem === null) return candidate;
    problems.push(`${quoteValue(candidate)} ${problem}`);
  }
  throw new UserError(
    `RUNNER_TEMP: no directory for temporary files was found: ${problems.join('; ')}. Make /tmp writable for the runner's user.`,
  );
}

async function tryBase(path: string, { make }: { make: boolean }): Promise<string | null> {
  if (!SAFE_PATH.test(path)) return 'has characters that ssh or Ansible would read';
  if (path.length > MAX_BASE_LENGTH) return 'is too long for sockets';
  try {
    if (make) await mkdir(path, { recursive: true });
    await rm(await mkdtemp(join(path, 'pgca-')), { recursive: true });
    return null;
  } catch (error) {
    return `cannot be written to (${readMessage(error)})`;
  }
}

/**
 * Returns the path of a `local` backend's state, relative to Terraform's directory: a path in a backend block must not
 * contain characters that Terraform interprets, and the checkout's absolute path may.
 *
 * @param given the backend's `path`, relative to the working directory
 * @throws UserError if the state, its backup or its lock is a link or below one: Terraform would write through it
 */
export async function locateLocalState(
  { lasting, directory }: Pick<Workspace, 'lasting' | 'directory'>,
  given: unknown,
): Promise<string> {
  const wanted = typeof given === 'string' && given !== '' ? given : 'terraform.tfstate';
  const path = resolve(lasting, wanted);
  await mkdir(lasting, { recursive: true });
  // An absolute path comes from the workflow, and may contain links of the machine.
  if (!isAbsolute(wanted))
    await requirePlainFolder(dirname(path), "the folder of Terraform's state");
  await requirePlainFile(path, "Terraform's state");
  // Terraform's documentation, "Backend type: local"; the lock is beside the state, too.
  await requirePlainFile(`${path}.backup`, "the backup of Terraform's state");
  await requirePlainFile(
    join(dirname(path), `.${basename(path)}.lock.info`),
    "the lock of Terraform's state",
  );
  return relative(directory, path);
}

async function requirePlainFolder(path: string, what: string): Promise<void> {
  const real = await realpath(path).catch((error: NodeJS.ErrnoException) => {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.code ?? '')) return null;
    throw error;
  });
  // For a missing folder its parent decides, unless it is a link to a missing target.
  if (real === null && !(await exists(path))) return requirePlainFolder(dirname(path), what);
  if (real === path) return;
  throw new UserError(
    `${path}: ${what} must be a plain folder, and a link leads elsewhere from there. Remove it from the repository.`,
  );
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Returns whether a file exists at `path`.
 *
 * @throws UserError if it is not a plain file: a link would be followed
 */
export async function requirePlainFile(path: string, what: string): Promise<boolean> {
  try {
    if ((await lstat(path)).isFile()) return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  throw new UserError(
    `${path}: ${what} must be a plain file, and a link or a folder is there. Remove it from the repository.`,
  );
}

/** Copies one of the action's own directories to a path that every program can read. */
export async function copyAssets(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true });
}

/** Writes a file that only this user can read from the first byte. */
export async function writeSecretFile(path: string, content: string): Promise<void> {
  // The mode applies only to a new file.
  await rm(path, { force: true });
  await writeFile(path, content, { mode: 0o600, flag: 'wx' });
}
