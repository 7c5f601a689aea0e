import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { query, queryFrom, readRow, writeRow } from '../client.ts';
import type { JobOptions, JobResult } from '../runner/job.ts';
import { wrapProgram } from '../tools/wrap-program.ts';
import type { World } from '../world.ts';
import {
  closeStage,
  connect,
  deploy,
  listPeers,
  openPullRequest,
  openStage,
  readChanges,
  readProof,
  readServers,
  readStarts,
  requireSuccess,
  runOnNode,
} from './stage.ts';

/** Where a node has its data volume. */
const ROOT = '/var/lib/postgresql-cluster';

const INPUTS = { request: '{"instance_type":"t2.small","replica_count":2,"region":"us-east-1"}' };

let world: World;
beforeAll(async () => {
  // The way of new clusters. The other files open port 22 to the runner.
  world = await openStage({ sshVia: 'instance-connect-endpoint' });
});
afterAll(() => closeStage(world));

/** Copies the action to another folder, as a runner does. */
function copyAction(to: string): string {
  for (const part of ['action.yml', 'dist', 'templates', 'playbooks']) {
    cpSync(join(import.meta.dirname, '../..', part), join(to, part), { recursive: true });
  }
  return to;
}

/** Two clients outside the cluster's network, neither of which is the runner. */
function clients(): { guest: string; stranger: string } {
  const at = (host: number) => world.runnerCidr.replace(/\d+\/32$/, String(host));
  return { guest: at(201), stranger: at(202) };
}

/** Each test continues where the previous one ended, like a team's months with a cluster. */
describe('the main job', () => {
  let deployed: JobResult;
  /** Asks the primary, from an address, which address it sees. */
  const askFrom = (address: string) => {
    const { primary: server } = readServers(world, deployed);
    const target = { server, network: world.registry.network };
    return queryFrom(address, target, 'SELECT host(inet_client_addr())');
  };

  test('a pull request gets a comment, a second push updates it, the merge creates the cluster', async () => {
    const { event, number } = openPullRequest(world, 'create');
    requireSuccess(await world.run(event, INPUTS));
    const [planned] = world.github.listComments(number);
    expect(planned?.body).toContain('aws_instance.node["3"]');
    expect(world.aws.listInstances()).toEqual([]);

    requireSuccess(await world.run(world.github.pushToPullRequest(number), INPUTS));
    expect(world.github.listComments(number).map(({ id }) => id)).toEqual([planned?.id]);

    // GitHub indexes a pushed commit a moment later.
    world.github.delayAssociation(1);
    const { push } = world.github.merge(number, 'squash');
    deployed = requireSuccess(await world.run(push, INPUTS));
    const comments = world.github.listComments(number);
    expect(comments.map(({ id }) => id)).toEqual([planned?.id]);
    expect(comments[0]?.body).toMatch(/done · 2 replicas streaming/);
    expect(deployed.summary).toContain('node-3');

    const proof = readProof(deployed);
    expect(proof.map(({ name, role, state }) => [name, role, state])).toEqual([
      ['node-1', 'primary', expect.anything()],
      ['node-2', 'replica', 'streaming'],
      ['node-3', 'replica', 'streaming'],
    ]);
    expect(proof.every(({ tokenRead, problem }) => tokenRead && problem === null)).toBe(true);
    expect(new Set(proof.map(({ systemIdentifier }) => systemIdentifier)).size).toBe(1);
  });

  test('port 22 of the nodes is closed to everything but the endpoint, which is not used up', async () => {
    const [endpoint] = Object.values(world.aws.tables.endpoints);
    expect(listPeers(world, 22)).toEqual(endpoint?.groups);
    for (const { publicIp } of world.aws.listInstances()) {
      await expect(connect(publicIp ?? '', 22)).rejects.toThrow(/timeout/);
    }
    const { records } = world.aws.tunnels;
    expect(records.filter(({ refusal }) => refusal !== null)).toEqual([]);
    // A run for a pull request beside it needs its own.
    expect(Math.max(...records.map((record) => record.open))).toBeLessThanOrEqual(10);
  });

  test('a row written on the primary is readable on every replica, and replicas refuse writes', async () => {
    const { primary, replicas } = readServers(world, deployed);
    expect(replicas).toHaveLength(2);
    await writeRow(primary, 'first');
    for (const replica of replicas) {
      await readRow(replica, 'first');
      await expect(query(replica, "INSERT INTO orders (text) VALUES ('x')")).rejects.toThrow(
        /read-only transaction/,
      );
    }
    expect(await query(primary, 'SHOW synchronous_standby_names')).toBe('');
  });

  test('connections need a password, and replication from elsewhere is refused', async () => {
    const { primary } = readServers(world, deployed);
    await expect(query({ ...primary, password: 'wrong' }, 'SELECT 1')).rejects.toThrow(
      /password authentication failed/,
    );
    // The right password of a role that may replicate, from an address whose clients are let in.
    const { 'replication-password': password } = world.secrets;
    for (const [user, server] of [
      ['replicator', { ...primary, password }],
      ['postgres', primary],
    ] as const) {
      const [from] = world.runnerCidr.split('/');
      await expect(query(server, 'IDENTIFY_SYSTEM', { user, replication: true })).rejects.toThrow(
        `no pg_hba.conf entry for replication connection from host "${from}", user "${user}"`,
      );
    }
    await expect(
      query({ ...primary, password }, 'SELECT 1', { user: 'replicator' }),
    ).rejects.toThrow(/pg_hba\.conf rejects connection for host .* user "replicator"/);
    expect(
      await query(primary, "SELECT rolname FROM pg_authid WHERE rolpassword NOT LIKE 'SCRAM%'"),
    ).toBe('');
    expect(
      await query(
        primary,
        "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method IN ('trust', 'md5', 'password')",
      ),
    ).toBe('0');
  });

  test('no key, password, plan or process is left on the runner', () => {
    expect(deployed.leftovers).toEqual([]);
    expect(deployed.orphans).toEqual([]);
    // Only the runner reads the commands that tell it what to mask.
    const log = deployed.raw.replaceAll(/^::add-mask::.*$/gm, '');
    const said = [log, deployed.rawSummary, JSON.stringify(deployed.outputs)].join('\n');
    for (const secret of [
      world.secrets['postgres-password'],
      world.secrets['replication-password'],
    ]) {
      expect(said).not.toContain(secret);
    }
    expect(said).not.toContain(world.secrets['ssh-private-key'].split('\n')[2]);
    expect(deployed.files.inventory).toContain('node-1 ansible_host=');
    expect(deployed.files.inventory).not.toContain(world.secrets['postgres-password']);
  });

  test('a second run changes nothing and restarts nothing, with unusual folder names on the runner', async () => {
    const { primary, replicas } = readServers(world, deployed);
    const before = await readStarts([primary, ...replicas]);
    const odd = join(world.folder, "it's #1 in $HOME, 100% {{ braces }}");
    const commands = join(world.folder, 'commands');
    const { result } = await deploy(world, 'again', INPUTS, {
      path: wrapProgram({
        ...{ folder: world.folder, program: 'terraform', path: world.path },
        before: `echo "$1" >>'${commands}'`,
      }),
      workDirectory: odd,
      actionDirectory: copyAction(join(odd, 'action')),
      // A directory that was set for another program, and is gone.
      env: { ...world.env, TMPDIR: join(odd, 'missing') },
    });
    requireSuccess(result);
    // The host keys of the first contact are kept.
    const kept = '.postgres-cluster/postgres/known_hosts';
    const known = readFileSync(join(result.directories.workspace, kept), 'utf8');
    expect(known.trim().split('\n').length).toBeGreaterThanOrEqual(3);
    expect(result.outputs['has-changes']).toBe('false');
    // Nothing is applied, and no command reads what another one has told.
    expect(readFileSync(commands, 'utf8').trim().split('\n')).toEqual([
      'version',
      'init',
      'plan',
      'show',
    ]);
    expect(readChanges(result)).toBe(0);
    expect(await readStarts([primary, ...replicas])).toEqual(before);
  });

  test('a third replica is added and nothing else changes', async () => {
    const { primary, replicas } = readServers(world, deployed);
    const before = await readStarts([primary, ...replicas]);
    const machines = world.aws.listInstances().map(({ id }) => id);
    const { result } = await deploy(world, 'scale-out', {
      'instance-type': 't2.small',
      'replica-count': '3',
    });
    requireSuccess(result);
    expect(result.outputs).toMatchObject({
      'to-change': '0',
      'to-replace': '0',
      'to-destroy': '0',
    });
    expect(world.aws.listInstances().map(({ id }) => id)).toEqual(expect.arrayContaining(machines));
    expect(readProof(result).map(({ name }) => name)).toEqual([
      'node-1',
      'node-2',
      'node-3',
      'node-4',
    ]);
    expect(await readStarts([primary, ...replicas])).toEqual(before);
    const fourth = readServers(world, result).replicas.at(-1);
    if (!fourth) throw new Error('no fourth node');
    await readRow(fourth, 'first');
    deployed = result;
  });

  test('a node that reboots comes back by itself', async () => {
    const { replicas } = readServers(world, deployed);
    const instance = world.aws
      .listInstances()
      .find(({ publicIp }) => publicIp === replicas[0]?.host);
    if (!instance) throw new Error('the replica has no instance');
    await world.aws.reboot(instance.id);
    const { primary } = readServers(world, deployed);
    await writeRow(primary, 'after the reboot');
    await readRow(replicas[0] as NonNullable<(typeof replicas)[0]>, 'after the reboot');
  });

  test('max_connections is raised replicas first, another client is let in, and every replica keeps streaming', async () => {
    await expect(askFrom(clients().guest)).rejects.toThrow(/timeout expired/);
    const { result } = await deploy(world, 'settings', {
      'instance-type': 't2.small',
      'replica-count': '3',
      'max-connections': '150',
      'client-cidrs': `${world.runnerCidr}, ${clients().guest}/32`,
    });
    requireSuccess(result);
    const { primary, replicas } = readServers(world, result);
    for (const server of [primary, ...replicas]) {
      expect(await query(server, 'SHOW max_connections')).toBe('150');
    }
    expect(readProof(result).filter(({ state }) => state === 'streaming')).toHaveLength(3);
    await readRow(primary, 'first');
    deployed = result;
  });

  test('clients in client-cidrs are let in by security group and pg_hba, and others get no answer', async () => {
    const { guest, stranger } = clients();
    const refused = expect(askFrom(stranger)).rejects.toThrow(/timeout expired/);
    expect(await askFrom(guest)).toBe(guest);
    await refused;
  });

  describe('the removal', () => {
    const remove = (name: string, options: Partial<JobOptions> = {}) =>
      world.run(world.github.dispatch('destroy', { destroy: name }), {}, options);
    /** What PostgreSQL's control file on a node says: a line per fact. */
    const readControlFile = (node: string) =>
      runOnNode(world, node, [
        ...['sh', '-c'],
        `docker run --rm --env LC_ALL=C --entrypoint pg_controldata --volume ${ROOT}:${ROOT}:ro "$(docker images --quiet | head -1)" ${ROOT}/data`,
      ]);
    const readFact = (text: string, fact: string) =>
      text
        .split('\n')
        .find((line) => line.startsWith(`${fact}:`))
        ?.slice(fact.length + 1)
        .trim();

    test('needs the name of the cluster', async () => {
      const refused = await remove('orders');
      expect(refused.annotations.map(({ message }) => message)).toContainEqual(
        expect.stringMatching(
          /destroy: "orders" is not the name of this cluster, which is postgres/,
        ),
      );
      await readRow(readServers(world, deployed).primary, 'first');
    });

    test('stops the primary before its replicas, so that every volume has all commits', async () => {
      await writeRow(readServers(world, deployed).primary, 'last');
      const { folder } = world;
      const before = '[ "$1" = apply ] && { echo "Error: interrupted" >&2; exit 1; }';
      const path = wrapProgram({ folder, program: 'terraform', before, path: world.path });
      const interrupted = await remove('postgres', { path });
      expect(interrupted.conclusion).toBe('failure');
      expect(interrupted.summary).toContain('it continues with what is left');
      const nodes = [...readProof(deployed)].sort((a, b) => a.role.localeCompare(b.role));
      const facts = await Promise.all(nodes.map(({ name }) => readControlFile(name)));
      expect(facts.map((text) => readFact(text, 'Database cluster state'))).toEqual([
        'shut down',
        ...nodes.slice(1).map(() => 'shut down in recovery'),
      ]);
      // The replicas have the primary's shutdown checkpoint.
      expect(new Set(facts.map((text) => readFact(text, 'Latest checkpoint location'))).size).toBe(
        1,
      );
    });

    test('continues, leaves a last snapshot of each data volume, and nothing else', async () => {
      const tables = () => world.aws.tables;
      const data = Object.values(tables().volumes).filter(({ root }) => !root);
      const volumes = data.map(({ id }) => id).sort();
      expect(volumes).toHaveLength(readProof(deployed).length);
      // A node that does not answer holds nothing up.
      await runOnNode(world, 'node-2', ['systemctl', 'stop', 'ssh']);
      const result = requireSuccess(await remove('postgres'));
      const { instances, vpcs, subnets, groups, gateways, endpoints, keyPairs } = tables();
      const left = { instances, vpcs, subnets, groups, gateways, endpoints, keyPairs };
      for (const [kind, found] of Object.entries(left)) expect([kind, found]).toEqual([kind, {}]);
      expect(tables().volumes).toEqual({});
      expect(
        Object.values(tables().snapshots)
          .map(({ volume }) => volume)
          .sort(),
      ).toEqual(volumes);
      expect(result.summary).toContain('### ✅ `postgres` destroyed · node-1, node-2, ');
      for (const id of volumes) expect(result.summary).toContain(id);
      expect(result.annotations.map(({ message }) => message)).toContainEqual(
        expect.stringMatching(
          /^node-2: could not be looked at, so its server was not stopped first/,
        ),
      );
    });

    test('of nothing succeeds, and the same name can be deployed again', async () => {
      const again = requireSuccess(await remove('postgres'));
      expect(again.summary).toContain('nothing to destroy · its state is empty');
      const inputs = { 'instance-type': 't2.small', 'replica-count': '0' };
      const { result } = await deploy(world, 'anew', inputs);
      const { primary } = readServers(world, requireSuccess(result));
      await expect(query(primary, 'SELECT count(*) FROM orders')).rejects.toThrow(/does not exist/);
    });
  });
});
