import { buildGitCommit } from './commit-shape.ts';
import type { Entry } from './git.ts';
import { findEntry, readBlob, readCommitTree, readTree, walkTree } from './git.ts';
import { checkPermission, makeNotFound, Problem } from './problem.ts';
import { findCommit } from './ref.ts';
import type { Answer, Call, Route } from './route.ts';
import type { Schemas, World } from './shape.ts';
import { buildRepositoryPage, buildRepositoryUrl, makeNodeId } from './shape.ts';
import { defaultBranch, deriveId } from './state.ts';

function checkContents(call: Call): void {
  checkPermission(
    { state: call.world.state, token: call.token },
    { permission: 'contents', access: 'read' },
  );
}

/** Encodes base64 as GitHub does: lines of 60 characters, each with a line end. */
const encode = (bytes: Buffer): string => bytes.toString('base64').replace(/.{1,60}/g, '$&\n');

const isFile = ({ mode }: Entry): boolean => mode === '100644' || mode === '100755';

function measure(world: World, { mode, sha }: Entry): number {
  return mode === '40000' || mode === '160000' ? 0 : (readBlob(world.state, sha)?.length ?? 0);
}

// github.com answers 404 for a branch name and for an abbreviated id.
function getCommit(call: Call): Answer {
  checkContents(call);
  const { commits } = call.world.state;
  const sha = call.params.sha ?? '';
  const commit = Object.hasOwn(commits, sha) ? commits[sha] : undefined;
  if (commit === undefined) throw makeNotFound();
  return { body: buildGitCommit(call.world, commit) };
}

function getRef(call: Call): Answer {
  checkContents(call);
  const ref = `refs/${call.params.ref ?? ''}`;
  const sha = /^refs\/(heads|pull)\//.test(ref) ? findCommit(call.world.state, ref) : undefined;
  if (sha === undefined) throw makeNotFound();
  const git = `${buildRepositoryUrl(call.world)}/git`;
  const body: Schemas['git-ref'] = {
    ref,
    node_id: makeNodeId('REF', deriveId(ref)),
    url: `${git}/${ref}`,
    object: { sha, type: 'commit', url: `${git}/commits/${sha}` },
  };
  return { body };
}

function getTree(call: Call): Answer {
  checkContents(call);
  const { state } = call.world;
  const ref = call.params.sha ?? '';
  const commit = readTree(state, ref) === undefined ? findCommit(state, ref) : undefined;
  const sha = commit === undefined ? ref : readCommitTree(state, commit);
  const direct = readTree(state, sha);
  if (direct === undefined) throw makeNotFound();
  // Any value enables it, also `false` and `0`: docs.github.com, REST API, git trees.
  const entries = call.url.searchParams.has('recursive')
    ? walkTree(state, sha)
    : direct.map(({ name, ...entry }) => [name, entry] as const);
  // If asked by commit or branch, github.com returns the commit's id here, not the tree's.
  const named = commit ?? sha;
  const body: Schemas['git-tree'] = {
    sha: named,
    url: `${buildRepositoryUrl(call.world)}/git/trees/${named}`,
    tree: entries
      .slice(0, state.treeLimit)
      .map(([path, entry]) => buildTreeEntry(call.world, path, entry)),
    truncated: entries.length > state.treeLimit,
  };
  return { body };
}

function buildTreeEntry(
  world: World,
  path: string,
  entry: Entry,
): Schemas['git-tree']['tree'][number] {
  const { mode, sha } = entry;
  const git = `${buildRepositoryUrl(world)}/git`;
  if (mode === '160000') return { path, mode, type: 'commit', sha };
  if (mode === '40000')
    return { path, mode: '040000', type: 'tree', sha, url: `${git}/trees/${sha}` };
  const size = measure(world, entry);
  return { path, mode, type: 'blob', sha, size, url: `${git}/blobs/${sha}` };
}

function getBlob(call: Call): Answer {
  checkContents(call);
  const sha = call.params.sha ?? '';
  if (!/^[0-9a-f]{40}$/.test(sha)) {
    const message = 'The sha parameter must be exactly 40 characters and contain only [0-9a-f].';
    throw new Problem(422, message);
  }
  const bytes = readBlob(call.world.state, sha);
  if (bytes === undefined) throw makeNotFound();
  const body: Schemas['blob'] = {
    sha,
    node_id: makeNodeId('B', deriveId(sha)),
    size: bytes.length,
    url: `${buildRepositoryUrl(call.world)}/git/blobs/${sha}`,
    content: encode(bytes),
    encoding: 'base64',
  };
  return { body };
}

/** A file or directory as found by "get repository content". */
interface Place {
  readonly path: string;
  /** As the client wrote it. */
  readonly ref: string;
  readonly entry: Entry;
}

/** The maximum number of directory entries in "get repository content". */
const listLimit = 1000;
/** The maximum file size that it returns, in bytes. Source of both: docs.github.com, REST API, repository contents. */
const contentLimit = 1024 * 1024;

function getContent(call: Call): Answer {
  checkContents(call);
  const { world } = call;
  const ref = call.url.searchParams.get('ref') ?? defaultBranch;
  const commit = findCommit(world.state, ref);
  if (commit === undefined) throw new Problem(404, `No commit found for the ref ${ref}`);
  const path = (call.params.path ?? '').replace(/^\/+|\/+$/g, '');
  const tree = readCommitTree(world.state, commit);
  const entry = findEntry(world.state, tree, path);
  if (entry === undefined) throw makeNotFound();
  if (entry.mode !== '40000') return { body: buildContent(world, { path, ref, entry }, tree) };
  const listed = (readTree(world.state, entry.sha) ?? []).slice(0, listLimit);
  const below = path === '' ? '' : `${path}/`;
  const body: Schemas['content-directory'] = listed.map(({ name, ...item }) => ({
    ...buildPlace(world, { path: `${below}${name}`, ref, entry: item }),
    // A submodule is a file here, "for backwards compatibility".
    type: item.mode === '40000' ? 'dir' : item.mode === '120000' ? 'symlink' : 'file',
  }));
  return { body };
}

function buildContent(world: World, place: Place, tree: string) {
  const { mode, sha } = place.entry;
  const type = mode === '160000' ? 'submodule' : mode === '120000' ? 'symlink' : 'file';
  const shape = { ...buildPlace(world, place), type };
  if (type === 'submodule') return shape;
  const bytes = readBlob(world.state, sha) ?? Buffer.alloc(0);
  if (type === 'symlink') {
    const target = bytes.toString();
    const found = findTarget(world, { tree, path: place.path, target });
    // A link to a file of the repository is answered with that file.
    if (found !== undefined && isFile(found))
      return buildContent(world, { ...place, entry: found }, tree);
    return { ...shape, target };
  }
  const large = bytes.length > contentLimit;
  return { ...shape, content: large ? '' : encode(bytes), encoding: large ? 'none' : 'base64' };
}

function findTarget(
  world: World,
  link: { tree: string; path: string; target: string },
): Entry | undefined {
  if (link.target.startsWith('/')) return undefined;
  const parts = link.path.split('/').slice(0, -1);
  for (const part of link.target.split('/')) {
    if (part === '..' && parts.pop() === undefined) return undefined;
    if (part !== '..' && part !== '.' && part !== '') parts.push(part);
  }
  return findEntry(world.state, link.tree, parts.join('/'));
}

function buildPlace(world: World, { path, ref, entry }: Place) {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  const self = `${buildRepositoryUrl(world)}/contents/${encoded}?ref=${encodeURIComponent(ref)}`;
  const kind = entry.mode === '40000' || entry.mode === '160000' ? 'tree' : 'blob';
  const git = `${buildRepositoryUrl(world)}/git/${kind}s/${entry.sha}`;
  const html = `${buildRepositoryPage(world)}/${kind}/${ref}/${encoded}`;
  return {
    name: path.split('/').at(-1) ?? '',
    path,
    sha: entry.sha,
    size: measure(world, entry),
    url: self,
    html_url: html,
    git_url: git,
    download_url: kind === 'blob' ? `${buildRepositoryPage(world)}/raw/${ref}/${encoded}` : null,
    _links: { self, git, html },
  };
}

const base = '/repos/:owner/:repo';

/** Routes for the repository's contents: Git's objects, and files by path. */
export const contentRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: `${base}/git/ref/*ref`,
    documentation: 'git/refs#get-a-reference',
    run: getRef,
  },
  {
    method: 'GET',
    pattern: `${base}/git/commits/:sha`,
    documentation: 'git/commits#get-a-commit-object',
    run: getCommit,
  },
  {
    method: 'GET',
    // A branch name can contain slashes.
    pattern: `${base}/git/trees/*sha`,
    documentation: 'git/trees#get-a-tree',
    run: getTree,
  },
  {
    method: 'GET',
    pattern: `${base}/git/blobs/:sha`,
    documentation: 'git/blobs#get-a-blob',
    run: getBlob,
  },
  {
    method: 'GET',
    pattern: `${base}/contents/*path`,
    documentation: 'repos/contents#get-repository-content',
    run: getContent,
  },
];
