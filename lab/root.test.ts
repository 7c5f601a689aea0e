import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { asRoot, ROOT_PATH } from './root.mjs';

const ENV = ['/usr/bin/env', `PATH=${ROOT_PATH}`, 'DEBIAN_FRONTEND=noninteractive'];
const PROXY = 'http://proxy.example:3128';

describe('asRoot', () => {
  test.each<[string, Parameters<typeof asRoot>, string[]]>([
    ['root', ['losetup', ['--list'], { uid: 0, env: {} }], [...ENV, 'losetup', '--list']],
    [
      'a user',
      ['losetup', ['--list'], { uid: 1000, env: {} }],
      ['sudo', '-n', ...ENV, 'losetup', '--list'],
    ],
    [
      'a user behind a proxy: no other variables pass',
      ['debootstrap', [], { uid: 1000, env: { http_proxy: PROXY, https_proxy: '', HOME: '/x' } }],
      ['sudo', '-n', ...ENV, `http_proxy=${PROXY}`, 'debootstrap'],
    ],
    [
      'arguments that a shell would split',
      ['sh', ['-c', 'echo "$1"', 'sh', 'a b=c'], { uid: 1000, env: {} }],
      ['sudo', '-n', ...ENV, 'sh', '-c', 'echo "$1"', 'sh', 'a b=c'],
    ],
  ])('for %s', (_, call, expected) => {
    const { program, args } = asRoot(...call);
    expect([program, ...args]).toEqual(expected);
  });

  test('finds programs in the sbin folders, independent of PATH', () => {
    const { program, args } = asRoot('sh', ['-c', 'command -v ldconfig'], { uid: 0 });
    const answer = execFileSync(program, args, {
      env: { PATH: '/usr/bin:/bin' },
      encoding: 'utf8',
    });
    expect(answer).toMatch(/^\/(usr\/)?sbin\/ldconfig\n$/);
  });
});

/** Programs that need root or its PATH. Inside a machine, through docker or ssh, they need no asRoot. */
const PROGRAMS = [
  ...['apt-get', 'apt', 'dpkg', 'debootstrap', 'dockerd', 'containerd', 'sudo', 'su', 'pkexec'],
  ...['losetup', 'blockdev', 'mkfs', 'mkfs\\.\\w+', 'mount', 'umount', 'mknod', 'fsck', 'tune2fs'],
  ...['nsenter', 'unshare', 'ip', 'tc', 'bridge', 'iptables(-\\w+)?', 'nft', 'sysctl', 'modprobe'],
  ...['chown', 'chgrp', 'chroot', 'setpriv', 'systemctl', 'useradd', 'usermod'],
];

/** A call with one of these programs as its first argument, other than asRoot and runAsRoot. */
const BYPASS = new RegExp(
  `\\b(?!asRoot\\b|runAsRoot\\b)(?:[\\w.]*(?:run|exec|spawn)\\w*)\\(\\s*(['"\`])(?:/(?:usr/)?s?bin/)?(?:${PROGRAMS.join('|')})\\1`,
  'gi',
);

/** Code that decides by itself whether it is root. */
const OWN_DECISION = /\bgete?uid\b|['"`]sudo\b['"`]/g;

/** Calls that need no root: apt-get with a state, a cache and sources of its own. */
const WITHOUT_ROOT: Readonly<Record<string, readonly string[]>> = {
  'lab/tools/debian-package.ts': ["runCommand('apt-get'", "runCommand('apt-get'"],
};

describe('the lab runs root programs only through asRoot', () => {
  test.each([
    ["spawn('dockerd', [], {})", 1],
    ["await runCommand('losetup', ['--list'])", 1],
    ["run(\n  'losetup',\n  [])", 1],
    ["execFileSync('/usr/sbin/iptables', ['-S'])", 1],
    ["child_process.spawnSync('sudo', ['-n', 'true'])", 1],
    ["runCommand('mkfs.ext4', [])", 1],
    ["runAsRoot('losetup', ['--list'])", 0],
    ["asRoot('dockerd', [])", 0],
    ["runDocker(['exec', host, 'iptables', '-S'])", 0],
    ["hosts.run('node-1', 'iptables -I INPUT')", 0],
    ["runCommand('ssh', ['sudo docker info'])", 0],
  ])('recognises %j: %i', (code, count) => {
    expect([...code.matchAll(BYPASS)]).toHaveLength(count);
  });

  const root = join(import.meta.dirname, '..');
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'lab', 'bench'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => /\.(m?[jt]s)$/.test(file) && file !== 'lab/root.test.ts');

  test('checks the whole lab', () => {
    expect(files).toContain('lab/aws/compute/disks.ts');
    expect(files).toContain('lab/bootstrap.mjs');
    expect(files.length).toBeGreaterThan(100);
  });

  test.each(files)('%s', (file) => {
    const code = readFileSync(join(root, file), 'utf8');
    expect([...code.matchAll(BYPASS)].map(([call]) => call)).toEqual(WITHOUT_ROOT[file] ?? []);
    // asRoot itself, and a test that puts another sudo on PATH.
    if (file === 'lab/root.mjs' || file === 'lab/dockerd.test.ts') return;
    expect([...code.matchAll(OWN_DECISION)].map(([text]) => text)).toEqual([]);
  });
});
