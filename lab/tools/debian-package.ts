import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keyring, mirror } from '../images/base.ts';
import { runCommand } from '../images/docker.ts';

const cache = join(import.meta.dirname, '..', '.cache');

/**
 * Unpacks one package of a Debian suite, without what it depends on and without installing it, and returns the folder
 * with its files (`usr/…`). The folder is kept until `npm run demo:down`. The machine's own sources of apt are not used,
 * so its release may be another one.
 *
 * @throws Error with apt's output if the package cannot be downloaded
 */
export async function unpackPackage(options: { suite: string; name: string }): Promise<string> {
  const { suite, name } = options;
  const folder = join(cache, `${name}-${suite}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'apt-'));
  try {
    for (const part of ['lists/partial', 'archives/partial', 'files']) {
      await mkdir(join(work, part), { recursive: true });
    }
    const sources = join(work, 'sources.list');
    await writeFile(sources, `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
    await writeFile(join(work, 'status'), '');
    const settings = {
      'Dir::Etc::SourceList': sources,
      'Dir::Etc::SourceParts': '-',
      'Dir::State': work,
      'Dir::State::Status': join(work, 'status'),
      'Dir::Cache': work,
      // Root would download as a user that cannot write here.
      'APT::Sandbox::User': '',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
    };
    const flags = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    await runCommand('apt-get', ['-q', ...flags, 'update'], { cwd: work });
    await runCommand('apt-get', ['-q', ...flags, 'download', name], { cwd: work });
    const archive = (await readdir(work)).find((file) => file.endsWith('.deb')) ?? '';
    await runCommand('dpkg-deb', ['-x', join(work, archive), join(work, 'files')]);
    await rename(join(work, 'files'), folder).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster.
      if (!existsSync(folder)) throw error;
    });
    return folder;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
