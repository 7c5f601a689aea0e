import type { components } from '@octokit/openapi-types';
import { UserError } from '../messages/errors.ts';
import { type GitHubClient, isForbidden, type Repository } from './client.ts';
import { isUnknownCommit, retryUnknownCommit, type Sleep } from './commit-retry.ts';

/** The content of a path at a commit. */
export type RepositoryFile =
  | { readonly kind: 'file'; readonly bytes: Buffer }
  | { readonly kind: 'missing' }
  | {
      readonly kind: 'other';
      readonly what: 'a symbolic link' | 'a folder' | 'a submodule';
      /** The part of the requested path with this kind. */
      readonly path: string;
    }
  /** `size` in bytes. */
  | { readonly kind: 'too-large'; readonly size: number };

interface FileRef {
  readonly repository: Repository;
  /** Full SHA. */
  readonly commit: string;
  /** Relative to the top of the repository, with `/` and without `.` and `..`. */
  readonly path: string;
  readonly wait?: Sleep;
}

type Tree = components['schemas']['git-tree'];

/**
 * Reads a file of a commit from the Git database, folder by folder, as the contents API follows symbolic links
 * (docs.github.com, "Get repository content", "Get a tree", "Get a blob"). A file of more than `limit` bytes is not
 * read.
 *
 * Git's modes: 120000 is a symbolic link, 160000 a submodule, 040000 a folder; all else is a file.
 *
 * @throws UserError if the token lacks `contents: read`, if GitHub does not know the commit after 15 s, or if it lists
 * a folder only in part; the API's error for anything else
 */
export async function readRepositoryFile(
  client: GitHubClient,
  options: FileRef & { readonly limit: number },
): Promise<RepositoryFile> {
  const { repository, path, limit } = options;
  const names = path.split('/');
  let tree = options.commit;
  for (const [index, name] of names.entries()) {
    const { data } = await ask(options, () =>
      client.request('GET /repos/{owner}/{repo}/git/trees/{tree_sha}', {
        ...repository,
        tree_sha: tree,
      }),
    );
    const entry = findEntry(data, {
      name,
      folder: names.slice(0, index).join('/'),
      file: options,
    });
    if (entry === null) return { kind: 'missing' };
    const isLast = index === names.length - 1;
    const here = names.slice(0, index + 1).join('/');
    if (entry.mode === '120000') return { kind: 'other', what: 'a symbolic link', path: here };
    if (entry.mode === '160000') return { kind: 'other', what: 'a submodule', path: here };
    if (entry.type === 'tree') {
      if (isLast) return { kind: 'other', what: 'a folder', path: here };
      tree = entry.sha;
      continue;
    }
    // A file has no children.
    if (!isLast) return { kind: 'missing' };
    const size = entry.size ?? 0;
    if (size > limit) return { kind: 'too-large', size };
    const blob = await ask(options, () =>
      client.request('GET /repos/{owner}/{repo}/git/blobs/{file_sha}', {
        ...repository,
        file_sha: entry.sha,
      }),
    );
    const bytes = Buffer.from(blob.data.content, 'base64');
    return bytes.length > limit
      ? { kind: 'too-large', size: bytes.length }
      : { kind: 'file', bytes };
  }
  return { kind: 'missing' };
}

function findEntry(
  { tree, truncated }: Tree,
  { name, folder, file }: { name: string; folder: string; file: FileRef },
): Tree['tree'][number] | null {
  const entry = tree.find(({ path }) => path === name);
  if (entry !== undefined) return entry;
  if (!truncated) return null;
  const where = folder === '' ? 'the top of the repository' : `the folder ${folder}`;
  throw new UserError(
    `${file.path}: GitHub lists only a part of ${where} at commit ${file.commit}, which has too many entries, and ${name} is not in that part. Keep the file in a smaller folder.`,
  );
}

/** Missing files are found by listing folders, so a 404 means an object that GitHub does not know yet. */
async function ask<T>({ commit, path, wait }: FileRef, request: () => Promise<T>): Promise<T> {
  try {
    return await retryUnknownCommit(request, wait);
  } catch (error) {
    if (isForbidden(error)) {
      throw new UserError(
        `github-token: may not read ${path} at commit ${commit} (${error.message}). Give the job the permission contents: read.`,
        { cause: error },
      );
    }
    if (!isUnknownCommit(error)) throw error;
    throw new UserError(
      `${path}: GitHub does not know commit ${commit}, or github-token lacks the permission contents: read. Give the job that permission; if it has it, run the job again.`,
      { cause: error },
    );
  }
}
