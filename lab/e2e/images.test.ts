import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nameHost } from '../images/catalogue.ts';
import { removeContainer, worldLabel } from '../images/container.ts';
import { runAsRoot, runCommand, runDocker } from '../images/docker.ts';
import { ensureImages } from '../images/images.ts';
import { tagImage } from '../images/recipe.ts';
import { chooseRows } from '../nightly.ts';
import {
  type PostgresTag,
  postgresTags,
  type Registry,
  startRegistry,
  stopRegistry,
} from '../registry/registry.ts';
import { type State, startState, stopState } from '../state/state.ts';

// The stricter of the two hosts. With Debian 13's systemd (257) a mount stays even if it is bound to a link that does not
// exist; the tests of aws/ reboot that host.
const HOST = nameHost('12');
const world = 'images-test';
// Not 10.99: a demo may be running on this machine.
const prefix = '10.97';
const address = `${prefix}.1.1`;
const host = `pgca-${world}-host`;
const label = `${worldLabel}=${world}`;
const folder = mkdtempSync(join(tmpdir(), 'pgca-images-test-'));
const mountPoint = '/srv/data';
const device = '/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0a1b2c3d4e5f67890';

let registry: Registry;
let state: State;
let loopDevice = '';

function runOnHost(command: string): Promise<string> {
  return runDocker(['exec', host, 'bash', '-c', command]);
}

function connect(command: string): Promise<string> {
  const known = join(folder, 'known_hosts');
  const options = ['-o', 'StrictHostKeyChecking=accept-new', '-o', `UserKnownHostsFile=${known}`];
  const identity = ['-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=2'];
  return runCommand('ssh', [...options, ...identity, `admin@${address}`, command]);
}

/** Repeats until it succeeds, at most 30 s; then throws the last error. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function createHost(image: string): Promise<void> {
  await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
  const volume = join(folder, 'volume');
  await runCommand('truncate', ['--size', '64M', volume]);
  loopDevice = await runAsRoot('losetup', ['--find', '--show', volume]);
  const instance = {
    instance_id: 'i-0123456789abcdef0',
    authorized_keys: [readFileSync(join(folder, 'key.pub'), 'utf8')],
    registry_mirror: registry.mirror,
  };
  writeFileSync(join(folder, 'instance.json'), JSON.stringify(instance));
  const [major, minor] = (await runCommand('stat', ['-c', '%Hr:%Lr', loopDevice])).split(':');
  writeFileSync(join(folder, 'volumes'), `vol-0a1b2c3d4e5f67890 ${major}:${minor}\n`);
  const security = ['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined'];
  await runDocker([
    ...['create', '--name', host, '--label', label, '--network', registry.network, '--ip', address],
    ...[
      '--cap-add=ALL',
      '--cap-drop=SYS_RESOURCE',
      '--cgroupns=host',
      '--tmpfs=/run',
      '--tmpfs=/run/lock',
    ],
    ...security.flatMap((option) => ['--security-opt', option]),
    ...[
      '--device-cgroup-rule',
      `b ${major}:${minor} rwm`,
      '-v',
      '/sys/fs/cgroup:/sys/fs/cgroup:rw',
      image,
    ],
  ]);
  for (const file of ['instance.json', 'volumes']) {
    await runDocker(['cp', join(folder, file), `${host}:/etc/lab/${file}`]);
  }
  await runDocker(['start', host]);
}

beforeAll(async () => {
  const images = await ensureImages({ only: [HOST], onProgress: console.log });
  registry = await startRegistry({ world, prefix, tags: ['17'], onProgress: console.log });
  state = await startState({ world });
  await createHost(images[HOST]);
});

afterAll(async () => {
  await removeContainer(host);
  await stopRegistry({ world });
  await stopState({ world });
  if (loopDevice) await runAsRoot('losetup', ['--detach', loopDevice]);
  rmSync(folder, { recursive: true });
  const filter = ['--quiet', '--filter', `label=${label}`];
  for (const kind of ['container', 'network', 'volume']) {
    const all = kind === 'container' ? ['--all'] : [];
    expect(await runDocker([kind, 'ls', ...all, ...filter]), `${kind}s left behind`).toBe('');
  }
});

describe('the host image', () => {
  test('boots, with cloud-init finished and ssh for the configured key', async () => {
    expect(await eventually(() => connect('cloud-init status --wait'))).toMatch(
      /^\.*\n?status: done$/,
    );
    expect(await connect('systemctl is-system-running --wait')).toBe('running');
    expect(await connect('sudo id --user')).toBe('0');
  });

  test('pulls through the mirror, by tag and by digest, and runs the image', async () => {
    await connect('sudo docker pull --quiet postgres:17');
    const digest = registry.digests['17'];
    expect(await connect(`sudo docker pull --quiet postgres@${digest}`)).toContain(digest);
    const run = 'sudo docker run --detach --network host --restart unless-stopped --name pg';
    await connect(`${run} -e POSTGRES_PASSWORD=secret postgres:17`);
    await eventually(() => connect('sudo docker exec pg pg_isready -h 127.0.0.1'));
  });

  test('undoes a mount made before the link by UUID exists, as systemd may', async () => {
    await runOnHost(`touch /run/lab-udev-hold && mkfs.ext4 -q ${device}`);
    const uuid = await runOnHost(`blkid -p -o value -s UUID ${device}`);
    await runOnHost(
      `mkdir ${mountPoint} && echo 'UUID=${uuid} ${mountPoint} ext4 nofail 0 2' >> /etc/fstab`,
    );
    await runOnHost(`systemctl daemon-reload && mount ${device} ${mountPoint}`);
    await eventually(() => runOnHost(`! findmnt ${mountPoint}`));
    await runOnHost(`! test -e /dev/disk/by-uuid/${uuid} && rm /run/lab-udev-hold`);
    await runOnHost(`systemctl start srv-data.mount && findmnt ${mountPoint}`);
    await runOnHost(`umount ${mountPoint}`);
  });

  test('keeps volume, mount, docker and containers across a reboot, but not the device name', async () => {
    await runOnHost(
      `printf '[Unit]\\nRequiresMountsFor=${mountPoint}\\n' > /etc/systemd/system/docker.service.d/data.conf`,
    );
    await runOnHost(
      `systemctl daemon-reload && systemctl start srv-data.mount && echo kept > ${mountPoint}/file`,
    );
    const node = await runOnHost(`readlink ${device}`);
    await runDocker(['restart', '--time', '60', host]);
    expect(await eventually(() => connect('systemctl is-system-running --wait'))).toBe('running');
    expect(
      await connect(`findmnt --noheadings -o FSTYPE ${mountPoint} && cat ${mountPoint}/file`),
    ).toBe('ext4\nkept');
    expect(await runOnHost(`readlink ${device}`)).not.toBe(node);
    expect(await connect('systemctl show --property After docker.service')).toContain(
      'srv-data.mount',
    );
    await eventually(() => connect('sudo docker exec pg pg_isready -h 127.0.0.1'));
  });

  test('lists its limits', async () => {
    const limits = JSON.parse(await connect('cat /etc/postgres-cluster/host-limits.json'));
    expect(limits).toEqual({ oom_score_adj: false, ulimits: false });
  });
});

/** Two that differ most; nightly runs try every image. */
const TRIED = chooseRows<PostgresTag>(
  ['14-alpine', '18'],
  postgresTags.filter((tag) => tag !== '14-alpine' && tag !== '18'),
);

describe.each(TRIED)('the image postgres:%s', (tag) => {
  const image = tagImage(`postgres-${tag}`);
  const major = Number.parseInt(tag, 10);
  const name = `pgca-${world}-${tag}`;
  const data = `pgca-${world}-data-${tag}`;
  const run = ['run', '--label', label, '--name', name];

  afterAll(async () => {
    await removeContainer(name);
    await runDocker(['volume', 'rm', '--force', data]);
  });

  test('has the user, the paths and the locale of the official image', async () => {
    const id = tag.endsWith('alpine') ? 70 : 999;
    const pgdata = major < 18 ? '/var/lib/postgresql/data' : `/var/lib/postgresql/${major}/docker`;
    const script = 'id -u postgres; id -g postgres; echo $PGDATA $LANG; postgres --version';
    const lines = await runDocker(['run', '--rm', '--label', label, image, 'bash', '-c', script]);
    const [uid, gid, settings, version] = lines.split('\n');
    expect([uid, gid]).toEqual([`${id}`, `${id}`]);
    expect(settings).toBe(`${pgdata} en_US.utf8`);
    expect(version).toContain(`(PostgreSQL) ${major}.`);
  });

  test('has the programs that a cluster needs', async () => {
    const programs = [
      'initdb',
      'pg_ctl',
      'pg_basebackup',
      'pg_controldata',
      'pg_isready',
      'pg_receivewal',
      'psql',
    ];
    const script = `set -e; for p in ${programs.join(' ')}; do $p --version > /dev/null; done`;
    await runDocker(['run', '--rm', '--label', label, image, 'bash', '-c', script]);
  });

  test('refuses an empty directory without a password', async () => {
    const refused = runDocker(['run', '--rm', '--label', label, image]);
    await expect(refused).rejects.toThrow(/exited with 1:.*POSTGRES_PASSWORD/s);
  });

  test('refuses a password given twice', async () => {
    const both = ['-e', 'POSTGRES_PASSWORD=a', '-e', 'POSTGRES_PASSWORD_FILE=/dev/null'];
    await expect(runDocker(['run', '--rm', '--label', label, ...both, image])).rejects.toThrow(
      /exclude each other/,
    );
  });

  test('initialises once from a password file, and later uses the existing data', async () => {
    const secret = randomBytes(8).toString('hex');
    const secretFile = join(folder, `secret-${tag}`);
    writeFileSync(secretFile, `${secret}\n`);
    await runDocker(['volume', 'create', '--label', label, data]);
    await runDocker([
      ...[
        ...run,
        '--detach',
        '--volume',
        `${data}:${major < 18 ? '/var/lib/postgresql/data' : '/var/lib/postgresql'}`,
      ],
      ...['--volume', `${secretFile}:/run/secret:ro`, '-e', 'POSTGRES_PASSWORD_FILE=/run/secret'],
      ...['-e', 'POSTGRES_USER=boss', '-e', 'POSTGRES_DB=app', image, '-c', 'max_connections=33'],
    ]);
    const ask = (password: string) =>
      runDocker([
        ...['exec', '-e', `PGPASSWORD=${password}`, name, 'bash', '-c'],
        // Through the container's own address: initdb trusts the loopback interface.
        `psql -h $(hostname -i) -U boss -d app -tAc "select current_setting('max_connections'), datcollate from pg_database where datname = 'app'"`,
      ]);
    expect(await eventually(() => ask(secret))).toBe('33|en_US.utf8');
    await expect(ask('wrong')).rejects.toThrow(/password authentication failed/);
    await runDocker(['restart', name]);
    expect(await eventually(() => ask(secret))).toBe('33|en_US.utf8');
    const logs = await runCommand('bash', ['-c', `docker logs ${name} 2>&1`]);
    expect(logs.match(/init process complete/g)).toHaveLength(1);
    expect(logs.match(/appears to contain a database; Skipping initialization/g)).toHaveLength(1);
    expect(logs).not.toContain(secret);
  });
});

describe('the entrypoint', () => {
  const name = `pgca-${world}-entrypoint`;
  const runOnce = (flags: string[], image: string, onLine = (_line: string) => {}) =>
    runDocker(['run', '--rm', '--name', name, '--label', label, ...flags, image], { onLine });

  test('runs the files of docker-entrypoint-initdb.d in order, and initdb with its arguments', async () => {
    const scripts = join(folder, 'initdb.d');
    await runCommand('mkdir', [scripts]);
    writeFileSync(join(scripts, '1.sql'), 'CREATE TABLE steps AS SELECT 1 AS step;');
    writeFileSync(
      join(scripts, '2.sh'),
      'run_as=$(id -un); psql -c "INSERT INTO steps VALUES (2)"\n',
    );
    writeFileSync(
      join(scripts, '3.sql'),
      'SELECT sum(step) AS total FROM steps; SHOW data_checksums;',
    );
    writeFileSync(join(scripts, '4.sql'), 'SELECT no_such_function();');
    const environment = [
      '-e',
      'POSTGRES_PASSWORD=x',
      '-e',
      "POSTGRES_INITDB_ARGS=--encoding='UTF8' -k",
    ];
    const lines: string[] = [];
    // The error in the last file ends the container, so no server will start.
    const failed = runOnce(
      [...environment, '-v', `${scripts}:/docker-entrypoint-initdb.d:ro`],
      tagImage('postgres-17'),
      (line) => lines.push(line.trim()),
    );
    await expect(failed).rejects.toThrow(/exited with 3:.*no_such_function/s);
    expect(lines).toEqual(
      expect.arrayContaining(['INSERT 0 1', 'total', '3', 'data_checksums', 'on']),
    );
  });

  test('refuses a volume at a path that 18 would not use', async () => {
    const flags = ['-e', 'POSTGRES_PASSWORD=x', '--tmpfs', '/var/lib/postgresql/data'];
    await expect(runOnce(flags, tagImage('postgres-18'))).rejects.toThrow(
      /mounted on \/var\/lib\/postgresql\/data/,
    );
  });
});

describe('the Terraform state', () => {
  const module = join(folder, 'module');
  const terraform = (...args: string[]) => {
    const env = Object.entries(state.env).map(([key, value]) => `${key}=${value}`);
    return runCommand('env', [...env, 'terraform', `-chdir=${module}`, ...args]);
  };

  test('is stored in S3 and locked while an apply runs', async () => {
    const slow = { provisioner: [{ 'local-exec': { command: 'sleep 3' } }] };
    const backend = { s3: { ...state.backendConfig, key: 'test.tfstate' } };
    const main = { terraform: { backend }, resource: { terraform_data: { slow } } };
    await runCommand('mkdir', [module]);
    writeFileSync(join(module, 'main.tf.json'), JSON.stringify(main));
    await terraform('init', '-input=false');
    const apply = () => terraform('apply', '-auto-approve', '-input=false');
    const results = await Promise.allSettled([apply(), apply()]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    const lost = results.find((result) => result.status === 'rejected');
    expect(String(lost?.reason)).toMatch(/state lock|PreconditionFailed/);
    await terraform('plan', '-detailed-exitcode');
    expect(await terraform('state', 'list')).toContain('terraform_data.slow');
  });
});
