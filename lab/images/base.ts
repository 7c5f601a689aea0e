import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandOptions, runCommand } from './docker.ts';

const mirror = 'http://deb.debian.org/debian';
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

// Nobody reads a manual in a container; without fsync dpkg is several times as fast.
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
// The index of a suite in the making is valid for a week only. A mirror that lags behind, or a frozen one,
// is good enough for a lab: what it holds is still signed, and the signature is still checked.
const unreleasedSettings = 'Acquire::Check-Valid-Until "false";\n';
const clutter = ['usr/share/doc', 'usr/share/man', 'usr/share/info', 'usr/share/locale'];
const caches = ['var/cache/apt', 'var/lib/apt/lists', 'var/log/bootstrap.log', 'var/log/dpkg.log'];

/** A root file system to make: Debian suite (released or not), tag and label (`key=value`) of the image. */
export type Base = { suite: string; unreleased: boolean; tag: string; label: string };

/**
 * Makes a minimal Debian root file system with debootstrap and imports it into Docker.
 * Throws if this process is not root or debootstrap or Debian's keyring is missing.
 */
export async function buildBase(base: Base, options: CommandOptions): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error('building the lab images needs root (debootstrap): run it with sudo');
  }
  if (!existsSync('/usr/sbin/debootstrap') || !existsSync(keyring)) {
    throw new Error('run `apt-get install debootstrap debian-archive-keyring` first');
  }
  const root = await mkdtemp(join(tmpdir(), `pgca-lab-${base.suite}-`));
  try {
    // The script named last serves every suite from bookworm on, also those debootstrap has not heard of.
    const flags = ['--variant=minbase', `--keyring=${keyring}`];
    await runCommand('debootstrap', [...flags, base.suite, root, mirror, 'sid'], options);
    await writeFile(join(root, 'etc/dpkg/dpkg.cfg.d/lab'), dpkgSettings);
    const settings = base.unreleased ? aptSettings + unreleasedSettings : aptSettings;
    await writeFile(join(root, 'etc/apt/apt.conf.d/90lab'), settings);
    for (const path of [...clutter, ...caches]) {
      await rm(join(root, path), { recursive: true, force: true });
    }
    const changes = [
      '--change',
      `LABEL ${base.label}`,
      '--change',
      'ENV DEBIAN_FRONTEND=noninteractive',
    ];
    const pipeline = 'tar -C "$0" --numeric-owner -c . | docker import "$@"';
    const args = ['-o', 'pipefail', '-c', pipeline, root, ...changes, '-', base.tag];
    await runCommand('bash', args, options);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
