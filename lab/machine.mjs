// Prepares a machine that has only Node and npm for the lab: Debian packages, npm packages, a Docker daemon. Plain
// JavaScript for the machine's own Node (20.11 or later, see bootstrap.mjs); Node 24 comes with the npm packages.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startDocker } from './dockerd.mjs';
import { asRoot, ROOT_PATH } from './root.mjs';

const root = join(import.meta.dirname, '..');

/** Program or file that a package installs → Debian package. */
const PACKAGES = {
  '/usr/share/keyrings/debian-archive-keyring.gpg': 'debian-archive-keyring',
  dockerd: 'docker.io',
  docker: 'docker.io',
  debootstrap: 'debootstrap',
  'ansible-playbook': 'ansible-core',
  'ssh-keygen': 'openssh-client',
  iptables: 'iptables',
  nsenter: 'util-linux',
  losetup: 'mount',
  'mkfs.ext4': 'e2fsprogs',
  ip: 'iproute2',
  psql: 'postgresql-client',
  pyflakes3: 'pyflakes3',
  jq: 'jq',
  openssl: 'openssl',
  shellcheck: 'shellcheck',
  unzip: 'unzip',
};

const say = (text) => console.log(`· ${text}`);

/** Runs a program as root. Shows its output only if it fails. */
function runAsRoot(command, commandArgs) {
  const { program, args } = asRoot(command, commandArgs);
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) {
    fail(
      `${command} ${commandArgs.join(' ')} failed:\n${error ?? ''}${stdout ?? ''}${stderr ?? ''}`,
    );
  }
}

/** Fails at once, not minutes later, if this user cannot become root. */
function requireRoot() {
  const { program, args } = asRoot('true', []);
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return;
  const why =
    error?.code === 'ENOENT' ? 'sudo is not installed' : (error?.message ?? stderr.trim());
  fail(
    `The lab makes images, loop devices and packet filters. Run it as root, or as a user with sudo that asks no password (${why}).`,
  );
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

function isOnPath(program) {
  if (program.startsWith('/')) return existsSync(program);
  const path = `${process.env.PATH}:${ROOT_PATH}`;
  return path.split(':').some((folder) => existsSync(join(folder, program)));
}

function installPackages() {
  const missing = Object.entries(PACKAGES).filter(([program]) => !isOnPath(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, name]) => name))];
  if (!isOnPath('apt-get')) {
    fail(
      `Missing: ${packages.join(', ')}. The lab installs them with apt-get on Debian and Ubuntu; elsewhere install them yourself.`,
    );
  }
  say(`installing ${packages.join(', ')}`);
  runAsRoot('apt-get', ['update', '-qq']);
  runAsRoot('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages]);
}

function installNodeModules() {
  const stamp = join(root, 'node_modules', '.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(lock).mtimeMs) return;
  say('installing npm packages');
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (result.status !== 0) fail(`npm ci failed:\n${result.stdout}${result.stderr}`);
}

requireRoot();
installPackages();
installNodeModules();
await startDocker(join(root, 'lab', '.out'), say).catch((error) => fail(error.message));
