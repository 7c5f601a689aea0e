import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandOptions, runAsRoot, runDocker } from './docker.ts';

/** Debian's archive. */
export const mirror = 'http://deb.debian.org/debian';
/** The keys that sign it. */
export const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

// Containers need no manuals; without fsync dpkg is several times faster.
const dpkgSettings = `force-unsafe-io
path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
`;
const aptSettings = `APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
DPkg::Use-Pty "false";
`;
// The index of an unreleased suite is valid for one week only. A lagging or frozen mirror is good enough
// for a lab: its contents are still signed, and the signature is still checked.
const unreleasedSettings = 'Acquire::Check-Valid-Until "false";\n';
const clutter = ['usr/share/doc', 'usr/share/man', 'usr/share/info', 'usr/share/locale'];
const caches = ['var/cache/apt', 'var/lib/apt/lists', 'var/log/bootstrap.log', 'var/log/dpkg.log'];

/** A root file system to build: Debian suite (released or not), tag and label (`key=value`) of the image. */
export type Base = { suite: string; unreleased: boolean; tag: string; label: string };

/**
 * Makes a minimal Debian root file system with debootstrap and imports it into Docker.
 *
 * @throws Error if debootstrap or Debian's keyring is missing, or a command fails
 */
export async function buildBase(base: Base, options: CommandOptions): Promise<void> {
  if (!existsSync('/usr/sbin/debootstrap') || !existsSync(keyring)) {
    throw new Error('run `apt-get install debootstrap debian-archive-keyring` first');
  }
  const folder = await mkdtemp(join(tmpdir(), `pgca-lab-${base.suite}-`));
  // This folder belongs to root, its parent to the user.
  const system = join(folder, 'system');
  try {
    // The script named last works for every suite since bookworm, including those unknown to debootstrap.
    const make = ['--variant=minbase', `--keyring=${keyring}`, base.suite, system, mirror, 'sid'];
    await runAsRoot('debootstrap', make, options);
    const apt = base.unreleased ? aptSettings + unreleasedSettings : aptSettings;
    const files = { 'dpkg/dpkg.cfg.d/lab': dpkgSettings, 'apt/apt.conf.d/90lab': apt };
    for (const [name, text] of Object.entries(files)) {
      const file = join(folder, 'file');
      await writeFile(file, text);
      await runAsRoot('install', ['-m', '0644', file, join(system, 'etc', name)]);
    }
    await runAsRoot('rm', ['-rf', ...[...clutter, ...caches].map((path) => join(system, path))]);
    const changes = [`LABEL ${base.label}`, 'ENV DEBIAN_FRONTEND=noninteractive'];
    // The Docker client runs as the user, so the archive must belong to the user, too.
    const archive = join(folder, 'system.tar');
    await writeFile(archive, '');
    await runAsRoot('tar', ['-C', system, '--numeric-owner', '-cf', archive, '.']);
    const flags = changes.flatMap((change) => ['--change', change]);
    await runDocker(['import', ...flags, archive, base.tag], options);
  } finally {
    await runAsRoot('rm', ['-rf', folder]);
  }
}
