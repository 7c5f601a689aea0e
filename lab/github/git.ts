import { createHash } from 'node:crypto';

/** A file of a commit: text, bytes, a symbolic link, or the commit of a submodule. */
export type TreeFile =
  | { readonly text: string; readonly executable?: boolean }
  | { readonly base64: string; readonly executable?: boolean }
  | { readonly link: string }
  | { readonly submodule: string };

/** The changes of a commit, by path: a string is short for `{ text }`, null deletes the file. */
export type Contents = Readonly<Record<string, TreeFile | string | null>>;

/** Git's data of a file: its mode, and the id of its content. */
export interface Entry {
  readonly mode: '100644' | '100755' | '120000' | '160000' | '40000';
  readonly sha: string;
}

/** An entry of a tree object; mode 40000 is another tree. */
export interface TreeEntry extends Entry {
  readonly name: string;
}

/** A file that a commit or a pull request touches. */
export interface ChangedFile {
  readonly filename: string;
  readonly status: 'added' | 'modified' | 'removed';
  readonly patch?: string;
}

/** Git's objects, by id. */
export interface GitObjects {
  /** In base64. */
  readonly blobs: Record<string, string>;
  /** Entries in Git's order. */
  readonly trees: Record<string, readonly TreeEntry[]>;
  readonly commits: Readonly<
    Record<string, { readonly parents: readonly string[]; readonly tree: string }>
  >;
}

/** All files below a tree by path; directories exist only through their files, as in Git. */
type Snapshot = Map<string, Entry>;

const hash = (type: 'blob' | 'tree', bytes: Uint8Array): string =>
  createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');

/** The id of the empty tree, which every Git knows. */
export const EMPTY_TREE = hash('tree', Buffer.alloc(0));

function writeBlob(objects: GitObjects, bytes: Buffer): string {
  const sha = hash('blob', bytes);
  objects.blobs[sha] = bytes.toString('base64');
  return sha;
}

/** Returns the content of a blob, or undefined for an unknown id. */
export function readBlob(objects: GitObjects, sha: string): Buffer | undefined {
  const content = Object.hasOwn(objects.blobs, sha) ? objects.blobs[sha] : undefined;
  return content === undefined ? undefined : Buffer.from(content, 'base64');
}

/** Returns the entries of one tree object in Git's order, or undefined for an unknown id. */
export function readTree(objects: GitObjects, sha: string): readonly TreeEntry[] | undefined {
  if (sha === EMPTY_TREE) return [];
  return Object.hasOwn(objects.trees, sha) ? objects.trees[sha] : undefined;
}

/** Returns every entry below a tree with its path, each tree before its entries. @throws Error for an unknown id */
export function walkTree(objects: GitObjects, sha: string, below = ''): [string, Entry][] {
  const entries = readTree(objects, sha);
  if (entries === undefined) throw new Error(`There is no tree ${sha}.`);
  return entries.flatMap(({ name, ...entry }): [string, Entry][] => {
    const path = `${below}${name}`;
    const inside = entry.mode === '40000' ? walkTree(objects, entry.sha, `${path}/`) : [];
    return [[path, entry], ...inside];
  });
}

/** Returns the entry at a path below a tree, or undefined; the empty path is the tree itself. */
export function findEntry(objects: GitObjects, tree: string, path: string): Entry | undefined {
  let entry: Entry | undefined = { mode: '40000', sha: tree };
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (entry?.mode !== '40000') return undefined;
    entry = readTree(objects, entry.sha)?.find((candidate) => candidate.name === name);
  }
  return entry;
}

function readSnapshot(objects: GitObjects, tree: string): Snapshot {
  return new Map(walkTree(objects, tree).filter(([, { mode }]) => mode !== '40000'));
}

function writeTree(objects: GitObjects, files: Snapshot): string {
  const entries: TreeEntry[] = [];
  const directories = new Map<string, Snapshot>();
  for (const [path, entry] of files) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      entries.push({ ...entry, name: path });
      continue;
    }
    const name = path.slice(0, slash);
    const inside = directories.get(name) ?? new Map();
    directories.set(name, inside.set(path.slice(slash + 1), entry));
  }
  for (const [name, inside] of directories)
    entries.push({ mode: '40000', name, sha: writeTree(objects, inside) });
  if (entries.length === 0) return EMPTY_TREE;
  // Git compares bytes, and a directory as if its name ended with a slash.
  const key = ({ mode, name }: TreeEntry) => Buffer.from(mode === '40000' ? `${name}/` : name);
  entries.sort((a, b) => Buffer.compare(key(a), key(b)));
  const bytes = entries.flatMap(({ mode, name, sha }) => [
    Buffer.from(`${mode} ${name}\0`),
    Buffer.from(sha, 'hex'),
  ]);
  const tree = hash('tree', Buffer.concat(bytes));
  objects.trees[tree] = entries;
  return tree;
}

function writeFile(objects: GitObjects, file: TreeFile | string): Entry {
  if (typeof file === 'string') return writeFile(objects, { text: file });
  if ('submodule' in file) return { mode: '160000', sha: file.submodule };
  if ('link' in file) return { mode: '120000', sha: writeBlob(objects, Buffer.from(file.link)) };
  const bytes = 'text' in file ? Buffer.from(file.text) : Buffer.from(file.base64, 'base64');
  return { mode: file.executable === true ? '100755' : '100644', sha: writeBlob(objects, bytes) };
}

/**
 * Writes the tree that results from a change.
 * @param tree the tree before it
 * @returns the id of the new tree
 * @throws Error for a path that Git does not allow, for one that is both a file and a directory, and for
 *   deleting a file that does not exist
 */
export function changeTree(objects: GitObjects, tree: string, contents: Contents): string {
  const files = readSnapshot(objects, tree);
  for (const [path, file] of Object.entries(contents)) {
    if (path.split('/').some((name) => ['', '.', '..', '.git'].includes(name)))
      throw new Error(`${JSON.stringify(path)} is no path of a file in a Git repository.`);
    if (file !== null) files.set(path, writeFile(objects, file));
    else if (!files.delete(path)) throw new Error(`There is no file ${path} to take away.`);
  }
  const both = findFileAndDirectory(files);
  if (both !== undefined) throw new Error(`${both} is a file and a directory: take one away.`);
  return writeTree(objects, files);
}

function findFileAndDirectory(files: Snapshot): string | undefined {
  for (const path of files.keys()) {
    for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1))
      if (files.has(path.slice(0, end))) return path.slice(0, end);
  }
  return undefined;
}

const isSame = (a: Entry | undefined, b: Entry | undefined): boolean =>
  a?.mode === b?.mode && a?.sha === b?.sha;

/**
 * Merges two trees file by file: takes what one side changed since the base.
 * If both sides changed a file, Git merges its lines; here that is a conflict.
 * @returns the id of the merged tree, or undefined if the sides conflict
 */
export function mergeTrees(
  objects: GitObjects,
  { base, ours, theirs }: { base: string; ours: string; theirs: string },
): string | undefined {
  const [old, mine, other] = [base, ours, theirs].map((tree) => readSnapshot(objects, tree)) as [
    Snapshot,
    Snapshot,
    Snapshot,
  ];
  const merged: Snapshot = new Map();
  for (const path of new Set([...mine.keys(), ...other.keys()])) {
    const [before, a, b] = [old.get(path), mine.get(path), other.get(path)];
    if (!isSame(b, before) && !isSame(a, before) && !isSame(a, b)) return undefined;
    const winner = isSame(b, before) ? a : b;
    if (winner !== undefined) merged.set(path, winner);
  }
  return findFileAndDirectory(merged) === undefined ? writeTree(objects, merged) : undefined;
}

/** Returns the files in which two trees differ, by path. */
export function compareTrees(objects: GitObjects, from: string, to: string): ChangedFile[] {
  const [before, after] = [readSnapshot(objects, from), readSnapshot(objects, to)];
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((filename) => {
    const [old, young] = [before.get(filename), after.get(filename)];
    if (isSame(old, young)) return [];
    const status = old === undefined ? 'added' : young === undefined ? 'removed' : 'modified';
    return [{ filename, status } as const];
  });
}

/** Returns the tree of a commit. @throws Error for an unknown commit */
export function readCommitTree(objects: GitObjects, sha: string): string {
  const commit = objects.commits[sha];
  if (commit === undefined) throw new Error(`There is no commit ${sha}.`);
  return commit.tree;
}

function listAncestors(objects: GitObjects, sha: string): Set<string> {
  const found = new Set([sha]);
  // Iterating over a set includes elements added meanwhile, so this walks back to the first commit.
  for (const commit of found)
    for (const parent of objects.commits[commit]?.parents ?? []) found.add(parent);
  return found;
}

/** Returns the newest common ancestor of two commits, or undefined for unrelated ones. */
export function findMergeBase(objects: GitObjects, a: string, b: string): string | undefined {
  const ofA = listAncestors(objects, a);
  const common = [...listAncestors(objects, b)].filter((sha) => ofA.has(sha));
  // Older common ancestors are parents of a common ancestor.
  const behind = new Set(common.flatMap((sha) => objects.commits[sha]?.parents ?? []));
  return common.find((sha) => !behind.has(sha));
}

/** Returns the tree of `theirs` merged into `ours`, both commits; undefined if they conflict. */
export function mergeCommits(
  objects: GitObjects,
  ours: string,
  theirs: string,
): string | undefined {
  const base = findMergeBase(objects, ours, theirs);
  return mergeTrees(objects, {
    base: base === undefined ? EMPTY_TREE : readCommitTree(objects, base),
    ours: readCommitTree(objects, ours),
    theirs: readCommitTree(objects, theirs),
  });
}
