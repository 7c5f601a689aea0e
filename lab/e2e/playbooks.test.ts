import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Step } from '../../src/cluster/rollout/step.ts';
import { mergeSettings, type Settings } from '../../src/cluster/settings/settings.ts';
import { chooseRows, nightlyTest } from '../nightly.ts';
import { configure, type DriveOptions, type PlaybookRun, runPlaybook } from '../playbooks/drive.ts';
import { DISK_GIB, type Hosts, startHosts } from '../playbooks/hosts.ts';
import { startEcr } from '../registry/ecr.ts';
import { startPrivateRegistry, stopPrivateRegistry } from '../registry/registry.ts';
import { LANE } from './lane.ts';

const root = '/var/lib/postgresql-cluster';
const folder = mkdtempSync(join(tmpdir(), 'pgca-playbooks-test-'));
const storage = { dataGib: DISK_GIB, rootGib: 16 };
const playbooks = join(import.meta.dirname, '../../playbooks');
let hosts: Hosts;
let passwords = { superuser: 'postgres', replication: 'with:colon and \\' };
let settings: Settings = { max_connections: '120', shared_buffers: '128MB' };

beforeAll(async () => {
  hosts = await startHosts({
    ...LANE,
    folder: join(folder, 'hosts'),
    count: 3,
    tags: ['17', '17-2', '15'],
    onProgress: (line) => console.log(line),
  });
  // As an earlier version of the action formatted it.
  const device = '/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcde3';
  await waitOnNode('node-3', `[ -e ${device} ]`);
  await hosts.run('node-3', `mkfs.ext4 -q -m 1 -e remount-ro ${device}`);
  // Until it is mounted, it could hold the cluster.
  await runPlaybook(buildOptions(), 'observe.yml');
  const steps: Step[] = [{ kind: 'prepare', nodes: ['node-3'] }];
  const prepared = await runPlaybook(buildOptions(), 'site.yml', {
    primary: 'node-1',
    steps,
    prove: false,
  });
  expect(prepared.failures, prepared.output).toEqual([]);
});
afterAll(async () => {
  await hosts?.destroy();
  await stopPrivateRegistry(LANE.world);
  rmSync(folder, { recursive: true, force: true });
});

function buildOptions(options: Partial<DriveOptions> & { image?: string } = {}): DriveOptions {
  const { image = 'postgres:17', ...rest } = options;
  return {
    desired: {
      name: 'orders',
      nodes: hosts.nodes,
      leaving: [],
      instanceType: null,
      memoryMib: null,
      // Restarts in place, so that the primary stays the same.
      primary: 'node-1',
      synchronousReplicas: 0,
      image,
      settings,
      clientCidrs: [`${LANE.prefix}.0.1/32`],
      storage,
      clone: { from: 'primary', maxRate: null },
      region: 'us-east-1',
      backup: null,
      restore: null,
      rehearsal: null,
    },
    folder: join(folder, 'run'),
    key: hosts.key,
    authorizedKey: hosts.authorizedKey,
    superuserPassword: passwords.superuser,
    replicationPassword: passwords.replication,
    ...rest,
  };
}

/** Configures the cluster and requires a complete proof. */
async function converge(options: DriveOptions = buildOptions()) {
  const { steps, done, observed } = await configure(options);
  requireProof(done);
  return { steps: steps.map(({ kind, nodes }) => `${kind} ${nodes.join(',')}`), done, observed };
}

function requireProof(run: PlaybookRun): void {
  expect(run.failures, run.output).toEqual([]);
  expect(run.exitCode, run.output).toBe(0);
  expect(run.proof.map(({ name }) => name)).toEqual(hosts.nodes.map(({ name }) => name));
  expect(run.proof.filter(({ role }) => role === 'primary')).toHaveLength(1);
  for (const line of run.proof) {
    expect(line).toMatchObject({
      problem: null,
      tokenRead: true,
      replayPaused: false,
      state: line.role === 'primary' ? 'running' : 'streaming',
    });
  }
}

const query = (node: string, sql: string): Promise<string> =>
  hosts.run(node, `docker exec -i postgres-orders psql -XAt -U postgres <<'SQL'\n${sql}\nSQL`);
const readStarts = (): Promise<string[]> =>
  Promise.all(hosts.nodes.map(({ name }) => query(name, 'SELECT pg_postmaster_start_time()')));

/** Waits until a shell condition holds on a node; polls fast enough to hit the middle of a step. */
async function waitOnNode(node: string, condition: string): Promise<void> {
  await hosts.run(node, `timeout 120 bash -c 'until ${condition}; do sleep 0.02; done'`);
}

/** Does something in the middle of a run; returns the run's end. */
async function during<T>(run: Promise<T>, disturb: () => Promise<void>): Promise<T> {
  // Both are awaited from the start: a run that fails early ends the test with its own error.
  const [end] = await Promise.all([run, disturb()]);
  return end;
}

describe('a new cluster', () => {
  test('is completed after the primary crashed during its initialisation', async () => {
    const cut = await during(configure(buildOptions()), async () => {
      await waitOnNode('node-1', `[ -d ${root}/data.partial ]`);
      await hosts.reboot('node-1');
    });
    expect(cut.done.exitCode).not.toBe(0);
    expect(cut.done.changes.filter(({ step }) => step === 'clone')).toEqual([]);

    const { observed } = await converge();
    expect(observed.observations[0]?.data).not.toBe('complete');
  });

  test('is not changed by the next run', async () => {
    const before = await readStarts();
    const { steps, done } = await converge();
    expect(steps).toEqual([]);
    expect(done.changes).toEqual([]);
    expect(Object.values(done.stats).map(({ changed }) => changed)).toEqual([0, 0, 0]);
    expect(await readStarts()).toEqual(before);
  });

  test('does not expose its passwords', async () => {
    const secrets = Object.values(passwords);
    for (const { name } of hosts.nodes) {
      const seen = await hosts.run(
        name,
        `docker inspect postgres-orders; docker logs postgres-orders 2>&1; journalctl --no-pager -o cat _COMM=python3; cat ${root}/etc/postgresql.conf ${root}/etc/pg_hba.conf`,
      );
      expect(seen).not.toContain(secrets[1]);
      expect(seen).not.toMatch(/SCRAM-SHA-256\$/);
      expect(await hosts.run(name, `stat -c '%a %u' ${root}/etc/replication.pass`)).toBe('600 999');
    }
  });

  test('writes only to the data volume, and uses no volume of Docker', async () => {
    expect(await hosts.run('node-2', 'docker volume ls --quiet')).toBe('');
  });

  test('has a new file system on blank volumes, and keeps an existing one', async () => {
    const types = hosts.nodes.map(({ name }) =>
      hosts.run(name, `findmnt --noheadings --output FSTYPE ${root}`),
    );
    expect(await Promise.all(types)).toEqual(['xfs', 'xfs', 'ext4']);
  });
});

describe('a reboot of a node', () => {
  test('restores everything without a run, whatever the devices are called then', async () => {
    for (const node of ['node-2', 'node-1']) await hosts.reboot(node);
    for (const node of ['node-2', 'node-1']) {
      await waitOnNode(node, 'docker exec postgres-orders pg_isready -qh 127.0.0.1');
    }
    const { done } = await converge();
    expect(done.changes).toEqual([]);
  });

  test('without the volume starts no PostgreSQL, empty or otherwise', async () => {
    await hosts.run('node-3', `mv /etc/fstab /etc/fstab.away`);
    await hosts.reboot('node-3');
    expect(await hosts.run('node-3', `ls -A ${root}`)).toBe('');
    expect(await hosts.run('node-3', 'docker ps --quiet || true')).toBe('');
    await hosts.run('node-3', `mv /etc/fstab.away /etc/fstab`);
    await hosts.reboot('node-3');
    await converge();
  });
});

describe('a change of the cluster', () => {
  test('raises replicas first and lowers the primary first', async () => {
    settings = { ...settings, max_connections: '160', work_mem: '8MB' };
    const raised = await converge();
    expect(raised.steps).toEqual([
      'check node-2',
      'restart node-2',
      'restart node-3',
      'restart node-1',
    ]);
    expect(raised.done.changes.map(({ node }) => node)).toEqual(['node-2', 'node-3', 'node-1']);

    settings = { ...settings, max_connections: '110' };
    const lowered = await converge();
    expect(lowered.done.changes.map(({ node }) => node)).toEqual(['node-1', 'node-2', 'node-3']);
    for (const { name } of hosts.nodes) {
      expect(await query(name, 'SHOW max_connections; SHOW work_mem')).toBe('110\n8MB');
    }
  });

  test.each(
    chooseRows<['restart' | 'reload', string, Settings, string]>(
      [
        ['restart', 'that takes too much memory', { shared_buffers: '900GB' }, 'the old one'],
        ['reload', 'that is nonsense', { work_mem: 'much' }, 'does not accept'],
      ],
      [['restart', 'that is nonsense', { max_connections: '1 hundred' }, 'does not accept']],
    ),
  )(
    'by a %s %s is refused before the run, and also on the node',
    async (kind, _, wrong, message) => {
      const options = buildOptions();
      const desired = { ...options.desired, settings: { ...settings, ...wrong } };
      await expect(configure({ ...options, desired })).rejects.toThrow(
        /refused: .*(settings|shared_buffers)/,
      );

      const step: Step = {
        kind,
        nodes: ['node-2'],
        primary: 'node-1',
        settings: mergeSettings(desired.settings, storage),
      };
      const run = await runPlaybook(options, 'site.yml', { primary: 'node-1', steps: [step] });
      expect(run.exitCode).not.toBe(0);
      expect(run.failures[0]?.message).toContain(message);
      expect(run.failures[0]?.log).not.toBe('');
      await converge();
      expect(await query('node-2', 'SHOW max_connections; SHOW work_mem')).toBe('110\n8MB');
    },
  );

  nightlyTest(
    'of the image goes from node to node and ends with the same digest everywhere',
    async () => {
      const { done } = await converge(buildOptions({ image: 'postgres:17-2' }));
      expect(done.changes.map(({ node }) => node)).toEqual(['node-2', 'node-3', 'node-1']);
      const digests = await Promise.all(
        hosts.nodes.map(({ name }) =>
          hosts.run(name, 'docker inspect -f {{.Config.Image}} postgres-orders'),
        ),
      );
      expect(new Set(digests)).toEqual(new Set([`postgres@${hosts.registry.digests['17-2']}`]));
      await converge();
    },
  );

  test('to another major version is also refused on the node, before anything stops', async () => {
    const before = await readStarts();
    const run = await runPlaybook(buildOptions({ image: 'postgres:15' }), 'site.yml', {
      primary: 'node-1',
      steps: [{ kind: 'restart', nodes: ['node-2'], primary: 'node-1', settings }],
    });
    expect(run.failures[0]?.message).toMatch(/PostgreSQL 17's and the image is PostgreSQL 15/);
    expect(await readStarts()).toEqual(before);
  });

  test('of the passwords reaches primary and replicas', async () => {
    passwords = { superuser: 'another: word', replication: 'grün' };
    await converge();
    const { done, steps } = await converge();
    expect(steps).toEqual([]);
    expect(done.changes).toEqual([]);
    // A replica that reconnects shows that its passfile is the new one.
    await query('node-1', 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
    await converge();
  });
});

describe('Docker on a node', () => {
  test('can restart or crash without stopping the server', async () => {
    const before = await readStarts();
    const ask = "docker inspect -f '{{.State.StartedAt}}' postgres-orders";
    const started = await hosts.run('node-1', ask);
    await hosts.run('node-1', 'systemctl restart docker');
    expect(await hosts.run('node-1', ask)).toBe(started);
    await hosts.run('node-1', 'pkill -KILL -x dockerd');
    await waitOnNode('node-1', `[ "$(${ask})" = ${started} ]`);
    const { done } = await converge();
    expect(done.changes).toEqual([]);
    expect(await readStarts()).toEqual(before);
  });
});

describe('a file system with an error', () => {
  test('is detected, and repaired by a reboot', async () => {
    const { observed } = await converge();
    expect(observed.observations.map(({ volume }) => volume.readOnly)).toEqual([
      false,
      false,
      false,
    ]);
    const name = '$(basename $(findmnt -no SOURCE /var/lib/postgresql-cluster))';
    await hosts.run('node-3', `echo 1 > /sys/fs/ext4/${name}/trigger_fs_error`);
    await expect(hosts.run('node-3', `touch ${root}/x`)).rejects.toThrow(/Read-only/);
    await hosts.run('node-2', `xfs_io -x -c shutdown ${root}`);
    await expect(hosts.run('node-2', `touch ${root}/x`)).rejects.toThrow(/Input\/output error/);
    await expect(configure(buildOptions())).rejects.toThrow(
      /refused: node-2: its data volume .* takes no writes.*reboot.*xfs_repair.*\nnode-3: its data volume .* takes no writes.*reboot/,
    );
    await Promise.all(['node-2', 'node-3'].map(hosts.reboot));
    for (const node of ['node-2', 'node-3'])
      await waitOnNode(node, 'docker exec postgres-orders pg_isready -qh 127.0.0.1');
    await converge();
  });
});

describe('a volume that grows', () => {
  const gib = DISK_GIB + 1;
  const grow = (node: string) => {
    const step: Step = { kind: 'grow', nodes: [node], dataGib: gib, rootGib: 16 };
    const work = { primary: 'node-1', steps: [step], prove: false };
    return runPlaybook(buildOptions({ waitSeconds: 5 }), 'site.yml', work);
  };
  const readSizes = async (node: string) => {
    const { observations } = await runPlaybook(buildOptions(), 'observe.yml');
    const { data } = observations.find(({ name }) => name === node)?.storage ?? {};
    return [data?.deviceBytes, data?.filesystemBytes].map((bytes) => (bytes ?? 0) / 1024 ** 3);
  };

  test('is waited for; until EC2 has grown it, the step fails and says what to do', async () => {
    const done = await grow('node-2');
    expect(done.output).toContain('waiting until EC2 has grown the data volume');
    expect(done.failures).toEqual([
      expect.objectContaining({
        node: 'node-2',
        message: expect.stringMatching(
          /has 4 GiB, and 5 GiB were requested\. Nothing is lost.*describe-volumes-modifications --volume-ids vol-0123456789abcde2`, then run the job again/,
        ),
      }),
    ]);
    expect(done.changes).toEqual([]);
  });

  test('has its file system grown while the server runs, once', async () => {
    const before = await readStarts();
    await hosts.growDisk('node-2', gib);
    expect(await readSizes('node-2')).toEqual([gib, DISK_GIB]);
    const done = await grow('node-2');
    expect(done.failures, done.output).toEqual([]);
    expect(done.changes).toMatchObject([{ node: 'node-2', step: 'grow' }]);
    expect(await readSizes('node-2')).toEqual([gib, gib]);
    expect((await grow('node-2')).changes).toEqual([]);
    expect(await readStarts()).toEqual(before);
  });

  // The lab's hosts lack CAP_SYS_RESOURCE, without which ext4 does not grow while it is mounted.
  test('keeps an ext4 that the kernel does not grow, with the reason', async () => {
    await hosts.growDisk('node-3', gib);
    const { failures } = await grow('node-3');
    expect(failures).toEqual([
      expect.objectContaining({
        message: expect.stringMatching(/stays at 4 GiB of 5 GiB.*Nothing is lost/),
        log: expect.stringMatching(/Permission denied|Operation not permitted/),
      }),
    ]);
    expect(await readSizes('node-3')).toEqual([gib, DISK_GIB]);
  });
});

describe('a private registry', () => {
  /** Pulls an image on node-2. */
  const tryImage = (options: Partial<DriveOptions> & { image: string }) => {
    const step: Step = {
      kind: 'check',
      nodes: ['node-2'],
      primary: 'node-1',
      settings: mergeSettings(settings, storage),
    };
    const work = { primary: 'node-1', steps: [step], prove: false };
    return runPlaybook(buildOptions(options), 'site.yml', work);
  };

  const expectNowhere = async (password: string, runs: readonly PlaybookRun[]) => {
    const encoded = Buffer.from(password).toString('base64');
    const places = '/etc /home /root /run /tmp /var/cache /var/log /var/lib/docker/containers';
    // The lab's AWS has it.
    const search = `grep -rlaF --exclude-dir=lab-ecr -e ${password} -e ${encoded} ${places} 2>/dev/null || true`;
    expect(await hosts.run('node-2', search)).toBe('');
    expect(await hosts.run('node-2', `journalctl --no-pager | grep -c ${password} || true`)).toBe(
      '0',
    );
    for (const { output } of runs) expect(output).not.toContain(password);
  };

  test('is used with a login for its own images, and the password is not stored', async () => {
    const { username, password, image } = await startPrivateRegistry(LANE);
    const check = (secret: string | null) => {
      const login = secret === null ? {} : { registryLogin: { username, password: secret } };
      return tryImage({ image: `${image}:17`, ...login });
    };
    const without = await check(null);
    expect(without.failures[0]?.message).toMatch(/10\.\d+\.0\.3:5000 refuses .* without a login/);
    const wrong = await check('not this one');
    expect(wrong.failures[0]?.message).toMatch(/refuses .* with the login that was given/);
    const look = await runPlaybook(
      buildOptions({ image: `${image}:17`, registryLogin: { username, password } }),
      'observe.yml',
    );
    expect(look.observations[0]?.host.imageDigest).toBe(hosts.registry.digests['17']);
    const right = await check(password);
    expect(right.failures, right.output).toEqual([]);
    expect(await hosts.run('node-2', 'docker image ls --quiet --digests')).not.toBe('');
    await hosts.run('node-2', `docker image inspect ${image}:17`);
    await expectNowhere(password, [without, wrong, look, right]);
  });

  test('in Amazon ECR is used with the login of the instance profile', async () => {
    const { username, password, image } = await startPrivateRegistry(LANE);
    const [registry = ''] = image.split('/');
    const ecr = await startEcr((command) => hosts.run('node-2', command), {
      registry,
      login: `${username}:${password}`,
    });
    const repository = `${ecr.host}/library/postgres`;
    const options = { image: `${repository}:17`, hasInstanceProfile: true };

    await ecr.setProfile({ role: 'nodes', allowed: false });
    const denied = await tryImage(options);
    expect(denied.failures[0]?.message).toMatch(/lacks ecr:GetAuthorizationToken/);
    expect(denied.failures[0]?.log).toMatch(/AccessDeniedException.*assumed-role\/nodes/);

    await ecr.setProfile({ role: 'nodes', allowed: true });
    const allowed = await tryImage(options);
    expect(allowed.failures, allowed.output).toEqual([]);
    await hosts.run('node-2', `docker image inspect ${repository}:17`);
    const look = await runPlaybook(
      buildOptions({ ...options, image: `${repository}:17-2` }),
      'observe.yml',
    );
    const digests = look.observations.map(({ host }) => host.imageDigest);
    // The first two pulls installed the helper, on one node.
    expect(digests).toEqual([null, hosts.registry.digests['17-2'], null]);
    await expectNowhere(password, [denied, allowed, look]);
  });
});

describe('an additional node', () => {
  test('is cloned after its machine crashed and its run was cancelled in between', async () => {
    await query(
      'node-1',
      'CREATE TABLE ballast AS SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 400000) n',
    );
    const before = await readStarts();
    await hosts.add(4);

    // Not only by the file: the remains of one copy must not count for the next one.
    const awaitCopy = () =>
      waitOnNode(
        'node-4',
        `pgrep -x pg_basebackup >/dev/null && [ -e ${root}/data.partial/backup_label ]`,
      );
    const crashed = await during(configure(buildOptions()), async () => {
      await awaitCopy();
      await hosts.reboot('node-4');
    });
    expect(crashed.done.failures).toMatchObject([{ node: 'node-4' }]);

    const cancel = new AbortController();
    const cancelled = await during(configure(buildOptions({ signal: cancel.signal })), async () => {
      await awaitCopy();
      cancel.abort();
    });
    expect(cancelled.done.exitCode).not.toBe(0);

    await converge();
    expect((await readStarts()).slice(0, 3)).toEqual(before);
    expect(await query('node-4', 'SELECT count(*) FROM ballast')).toBe('400000');
    expect(await hosts.run('node-4', `ls -d ${root}/data*`)).toBe(`${root}/data`);
  });

  test('whose volume contains other data is not changed', async () => {
    await hosts.add(5);
    const device = '/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcde5';
    await waitOnNode('node-5', `[ -e ${device} ]`);
    await hosts.run('node-5', `mkswap ${device}`);
    const { done } = await configure(buildOptions());
    expect(done.failures).toMatchObject([
      { node: 'node-5', message: expect.stringContaining('swap') },
      { message: expect.stringContaining('node-5 could not be prepared') },
    ]);
    expect(await hosts.run('node-5', `blkid -p -o value -s TYPE ${device}`)).toBe('swap');
    // Even without a signature it is not blank: only zeros are.
    await hosts.run('node-5', `dd if=/dev/zero of=${device} bs=1M count=1 conv=fsync status=none`);
    await converge();
  });
});

describe('a host', () => {
  test('that changed its key stops the run immediately', async () => {
    await hosts.run('node-2', 'rm /etc/ssh/ssh_host_*; ssh-keygen -qA; systemctl restart ssh');
    // Connections of earlier runs persist.
    await hosts.run('node-2', "pkill -f '[s]shd(-session)?: admin' || true");
    // A run that waited for the host would outlast the test.
    const run = await runPlaybook({ ...buildOptions(), waitSeconds: 3_600 }, 'observe.yml');
    expect(run.failures).toMatchObject([
      { node: 'node-2', message: expect.stringContaining('HOST IDENTIFICATION HAS CHANGED') },
    ]);
  });
});

test.each(['observe.yml', 'site.yml'])('%s is well-formed', (name) => {
  const env = { ...process.env, ANSIBLE_CONFIG: join(playbooks, 'ansible.cfg') };
  const options = { env, cwd: playbooks, encoding: 'utf8' } as const;
  execFileSync('ansible-playbook', ['--syntax-check', '-i', 'localhost,', name], options);
});
