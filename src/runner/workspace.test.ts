import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { locateLocalState, openWorkspace, type Workspace } from './workspace.ts';

let folder: string;
let root: string;
let opened: Workspace[];
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'workspace-')));
  root = join(folder, 'checkout');
  mkdirSync(root);
  opened = [];
});
afterEach(() => {
  vi.unstubAllEnvs();
  for (const { temporary } of opened) rmSync(temporary, { recursive: true });
  rmSync(folder, { recursive: true });
});

async function open(
  options: Partial<Parameters<typeof openWorkspace>[0]> = {},
): Promise<Workspace> {
  const runnerTemp = join(folder, '_temp');
  const workspace = await openWorkspace({ root, workingDirectory: 'a/b', runnerTemp, ...options });
  opened.push(workspace);
  return workspace;
}

describe('a working directory', () => {
  test('is not created before something is written', async () => {
    expect((await open()).lasting).toBe(join(root, 'a/b'));
    expect(readdirSync(root)).toEqual([]);
  });

  test('may lead through a link that stays inside', async () => {
    mkdirSync(join(root, 'real'));
    symlinkSync('real', join(root, 'a'));
    expect((await open()).lasting).toBe(join(root, 'real/b'));
  });

  test.each<[string, string, RegExp, () => void]>([
    ['the workspace itself', '.', /is not inside the workspace/, () => {}],
    ['above it', '../x', /is not inside the workspace/, () => {}],
    ['absolute', '/etc', /is not inside the workspace/, () => {}],
    ['a file', 'a/b', /is not a folder: b is a file/, () => writeAt('a/b')],
    ['below a file', 'a/b', /is not a folder: a is a file/, () => writeAt('a')],
    [
      'a link that leads outside',
      'a/b',
      /through the link a to \.\., outside/,
      () => link('..', 'a'),
    ],
    [
      'a folder below a link that leads outside',
      'a/b/c',
      // The list of files follows links, so this is a folder that every user may read.
      /to \/srv, outside/,
      () => link('/srv', 'a/b'),
    ],
    [
      'a link to a missing folder',
      'a/b',
      /through the link a to \/nowhere\/yet, which does not exist/,
      () => link('/nowhere/yet', 'a'),
    ],
    [
      'a link that leads to itself',
      'a/b',
      /through a, a link that leads to itself/,
      () => link('a', 'a'),
    ],
    [
      'a name that is too long',
      `a/${'x'.repeat(300)}`,
      /a name that the file system does not/,
      () => mkdirSync(join(root, 'a')),
    ],
    ["Git's own", '.git/x', /lies in \.git, which belongs to Git/, () => {}],
    ["Git's own in capitals", 'a/.GIT', /lies in \.GIT/, () => {}],
    [
      "GitHub's own, through a link",
      'a/b',
      /lies in \.github/,
      () => {
        mkdirSync(join(root, '.github'));
        link('.github', 'a');
      },
    ],
  ])('is refused before anything is created: %s', async (_, workingDirectory, message, prepare) => {
    prepare();
    const before = readdirSync(folder, { recursive: true });
    const refused = open({ workingDirectory });
    await expect(refused).rejects.toThrow(UserError);
    await expect(refused).rejects.toThrow(message);
    expect(readdirSync(folder, { recursive: true })).toEqual(before);
  });

  const link = (target: string, path: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    symlinkSync(target, join(root, path));
  };
  const writeAt = (path: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), '');
  };
});

describe('the Terraform directory', () => {
  test('is the same for all steps of a job on one cluster, however they spell its folder', async () => {
    const directories = await Promise.all(
      ['a/b', './a/b', 'a/c/../b', 'a/c'].map(async (workingDirectory) => {
        return (await open({ workingDirectory })).directory;
      }),
    );
    expect(new Set(directories.slice(0, 3)).size).toBe(1);
    expect(directories[3]).not.toBe(directories[0]);
  });
});

describe('the private folder', () => {
  test('is private to this user, and in the runner’s folder if its path is safe', async () => {
    const runnerTemp = mkdtempSync('/tmp/rt-');
    const { temporary } = await open({ runnerTemp });
    expect(temporary.startsWith(`${runnerTemp}/pgca-`)).toBe(true);
    expect(statSync(temporary).mode & 0o777).toBe(0o700);
    rmSync(runnerTemp, { recursive: true });
    opened.length = 0;
  });

  test.each(['with space', 'a#b', '$HOME', '100%', "quo'te", '{{ braces }}', 'x'.repeat(80)])(
    'has a short safe path, whatever the runner’s folder is called: %s',
    async (name) => {
      vi.stubEnv('TMPDIR', join(folder, 'missing'));
      const { temporary, directory } = await open({ runnerTemp: join(folder, name) });
      expect(temporary).toMatch(/^\/tmp\/pgca-[A-Za-z0-9]+$/);
      expect(directory.startsWith(join(folder, name))).toBe(true);
    },
  );
});

describe('the state of a local backend', () => {
  test('is in the working directory, as a path relative to Terraform’s directory', async () => {
    const workspace = await open();
    const path = await locateLocalState(workspace, undefined);
    expect(path).toBe(relative(workspace.directory, join(root, 'a/b/terraform.tfstate')));
    expect(existsSync(join(root, 'a/b'))).toBe(true);
  });

  test('must not be a link that Terraform would write through', async () => {
    const workspace = await open();
    mkdirSync(workspace.lasting, { recursive: true });
    symlinkSync('/etc/passwd', join(workspace.lasting, 'terraform.tfstate'));
    await expect(locateLocalState(workspace, '')).rejects.toThrow(/state must be a plain file/);
  });

  test.each(['terraform.tfstate.backup', '.terraform.tfstate.lock.info'])(
    'must not have a link beside it that Terraform would write through: %s',
    async (name) => {
      const workspace = await open();
      mkdirSync(workspace.lasting, { recursive: true });
      symlinkSync('/etc/passwd', join(workspace.lasting, name));
      await expect(locateLocalState(workspace, '')).rejects.toThrow(/must be a plain file/);
    },
  );

  test.each([
    ['elsewhere', '/etc'],
    ['elsewhere', '/nowhere/yet'],
    ['elsewhere', 'elsewhere'],
    ['elsewhere/deeper', '../c'],
    ['elsewhere/deeper', 'c'],
  ])('must not be below a link in the repository: %s to %s', async (folder, target) => {
    const workspace = await open();
    mkdirSync(join(workspace.lasting, 'c'), { recursive: true });
    symlinkSync(target, join(workspace.lasting, 'elsewhere'));
    const state = locateLocalState(workspace, `${folder}/terraform.tfstate`);
    await expect(state).rejects.toThrow(/must be a plain folder/);
  });

  test('may be in a missing folder, or at an absolute path', async () => {
    const workspace = await open();
    await expect(locateLocalState(workspace, 'new/deep/s.tfstate')).resolves.toMatch(/new\/deep/);
    const outside = join(folder, 'state of my own');
    mkdirSync(outside);
    symlinkSync(outside, join(folder, 'linked'));
    const path = join(folder, 'linked', 's.tfstate');
    expect(await locateLocalState(workspace, path)).toBe(relative(workspace.directory, path));
  });
});
