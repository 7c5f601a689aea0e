// Makes a machine with nothing but Node and npm ready for the lab: Debian packages, npm packages, a Docker
// daemon. Plain JavaScript for whatever Node the machine has; Node 24 comes with the npm packages.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const out = join(root, 'lab', '.out');

/** Program, or file, that shows a package is there → Debian package. */
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
  openssl: 'openssl',
  unzip: 'unzip',
};

const say = (text) => console.log(`· ${text}`);
const isRoot = process.getuid?.() === 0;

/** Runs a program as root, quietly; its output is shown when it fails. */
function runAsRoot(command, args) {
  const [program, ...rest] = isRoot ? [command, ...args] : ['sudo', '-n', command, ...args];
  const result = spawnSync(program, rest, {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (result.error?.code === 'ENOENT' || /a password is required/.test(result.stderr ?? '')) {
    fail(
      'The lab makes containers, networks and loop devices: run it as root, or with sudo that asks no password.',
    );
  }
  if (result.status !== 0) {
    fail(`${command} ${args.join(' ')} failed:\n${result.stdout}${result.stderr}`);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

function isOnPath(program) {
  if (program.startsWith('/')) return existsSync(program);
  const path = `${process.env.PATH}:/usr/sbin:/sbin`;
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

const dockerAnswers = () => spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0;

/** Uses a Docker daemon that runs; else starts one and notes its pid, so that tearing down can end it. */
async function startDocker() {
  if (dockerAnswers()) return;
  if (!isRoot)
    fail('No Docker daemon answers. Start it, or let this user talk to it (group docker).');
  say('starting a Docker daemon');
  mkdirSync(out, { recursive: true });
  const log = openSync(join(out, 'dockerd.log'), 'a');
  const daemon = spawn('dockerd', [], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  daemon.unref();
  writeFileSync(join(out, 'dockerd.pid'), `${daemon.pid}\n`);
  for (let attempt = 0; attempt < 60; attempt++) {
    if (dockerAnswers()) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  fail(
    `dockerd did not answer within 30 s:\n${readFileSync(join(out, 'dockerd.log'), 'utf8').slice(-2000)}`,
  );
}

installPackages();
installNodeModules();
await startDocker();
