import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nightlyTest } from '../../nightly.ts';
import type { JobOptions, JobResult } from '../../runner/job.ts';
import { deploy, readProof, requireSuccess } from '../stage.ts';
import { CONTAINER, type Inputs, LiveCluster, ROOT } from './cluster.ts';

const INPUTS = {
  'instance-type': 't3.small',
  'replica-count': '1',
  'data-volume-size': '2',
  // A copy takes long enough to be interrupted.
  'clone-max-rate': '4MB',
  settings: 'log_replication_commands = on',
};
const REPLICA = 'node-2';
/** A line of the log that shows the progress of the copy. On a busy machine its container starts later than the watch. */
const PROGRESS = /node-2 has copied (?!0 B)/;

let cluster: LiveCluster;
let branches = 0;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS, { sshVia: 'instance-connect-endpoint' });
  await cluster.ask(
    'node-1',
    "CREATE TABLE bulk AS SELECT string_agg(md5(random()::text), '') AS text FROM generate_series(1, 3000000) AS n GROUP BY n / 32",
  );
});
afterAll(() => cluster?.close());

/** Takes the replica's data away, so that the next deploy copies the primary. */
const wipe = () =>
  cluster.run(
    REPLICA,
    'sh',
    '-c',
    `docker rm -f ${CONTAINER} >/dev/null; rm -rf ${ROOT}/data ${ROOT}/record.json; sync`,
  );

/** The number of copies that the primary has been asked for. */
async function countCopies(): Promise<number> {
  const log = await cluster.run('node-1', 'sh', '-c', `docker logs ${CONTAINER} 2>&1`);
  return [...log.matchAll(/replication command: BASE_BACKUP/g)].length;
}

/** Deploys, and interrupts the copy once the log shows its progress. */
async function interrupt(
  action: () => Promise<void> | void,
  options: Partial<JobOptions> = {},
  inputs: Inputs = INPUTS,
): Promise<JobResult> {
  let acted: Promise<void> | undefined;
  branches += 1;
  const { result } = await deploy(cluster.world, `copy-${branches}`, inputs, {
    ...options,
    onLine: (line) => {
      if (PROGRESS.test(line)) acted ??= Promise.resolve(action());
    },
  });
  // Without progress in the log nothing was interrupted, and the test would prove nothing.
  if (acted === undefined) throw new Error(`The log shows no progress.\n${result.log}`);
  await acted;
  return result;
}

/** Deploys without a disturbance and checks that the cluster replicates. */
async function converge(): Promise<JobResult> {
  branches += 1;
  const { result } = await deploy(cluster.world, `copy-${branches}`, INPUTS);
  const roles = readProof(requireSuccess(result)).map(({ role, state }) => `${role} ${state}`);
  expect(roles).toEqual(['primary running', 'replica streaming']);
  return result;
}

/** Runs `work` under load from the moment when the replica has lost its data; returns the copies that it took. */
async function copyUnderLoad(name: string, work: () => Promise<void>): Promise<number> {
  await wipe();
  const before = await countCopies();
  const { load, report } = await cluster.underLoad(work);
  cluster.tell(name, report);
  cluster.requireNoProblems(report);
  await cluster.requireRows(load);
  return (await countCopies()) - before;
}

/** Kills every process of the action that works in this world, as a runner that loses its power. */
function killRunner(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('dist/index.js')) continue;
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      if (environment.includes(`${cluster.world.folder}/`)) process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}

describe('a copy that is interrupted', () => {
  test('goes on when the endpoint closes all tunnels, and the same run finishes it', async () => {
    const { tunnels } = cluster.world.aws;
    let cut = 0;
    let openedBefore = 0;
    const copies = await copyUnderLoad('closed tunnels', async () => {
      const result = await interrupt(() => {
        openedBefore = tunnels.records.length;
        cut = tunnels.cut();
      });
      expect(readProof(requireSuccess(result))).toHaveLength(2);
    });
    expect(cut).toBeGreaterThan(0);
    // The run has opened others.
    expect(tunnels.records.length).toBeGreaterThan(openedBefore);
    expect(copies).toBe(1);
  });

  nightlyTest('goes on when the job is cancelled, and the next run finishes it', async () => {
    const copies = await copyUnderLoad('cancelled job', async () => {
      const controller = new AbortController();
      const result = await interrupt(() => controller.abort(), { signal: controller.signal });
      expect(result.conclusion).toBe('cancelled');
      expect(result.orphans, result.log).toEqual([]);
      await converge();
    });
    expect(copies).toBe(1);
  });

  test('goes on when the runner is killed, and the next run finishes it', async () => {
    const copies = await copyUnderLoad('killed runner', async () => {
      const result = await interrupt(killRunner);
      expect(result.conclusion).toBe('failure');
      await converge();
    });
    expect(copies).toBe(1);
  });

  nightlyTest('is made again when the node reboots', async () => {
    const copies = await copyUnderLoad('reboot', async () => {
      const reboot = () => cluster.world.aws.reboot(cluster.instance(REPLICA).id);
      // Slower than the shutdown of a busy machine.
      const result = await interrupt(reboot, {}, { ...INPUTS, 'clone-max-rate': '2MB' });
      if (result.conclusion !== 'success') await converge();
    });
    expect(copies).toBe(2);
  });

  nightlyTest(
    'stops itself when its disk is full, and is made again once there is room',
    async () => {
      const filler = `${ROOT}/filler`;
      const copies = await copyUnderLoad('full disk', async () => {
        const result = await interrupt(async () => {
          // In one command: the copy goes on meanwhile. It stops below 64 MiB (choose_reserve in worker.py).
          await cluster.run(
            REPLICA,
            'sh',
            '-c',
            `fallocate -l $(($(df --output=avail -B1 ${ROOT} | tail -1) - 32 * 1024 * 1024)) ${filler}`,
          );
        });
        expect(result.conclusion).toBe('failure');
        const errors = result.annotations.map(({ message }) => message).join('\n');
        expect(errors).toMatch(/node-2 cannot copy node-1 .* had \d+ MiB left after \d+ MiB/);
        // What it wrote is deleted.
        expect(await cluster.run(REPLICA, 'ls', ROOT)).not.toMatch(/data\.partial/);
        await cluster.run(REPLICA, 'rm', filler);
        await converge();
      });
      expect(copies).toBe(2);
    },
  );
});

test('a run that may not wait longer ends without a failure, and the next one finishes the copy', async () => {
  const copies = await copyUnderLoad('a short wait', async () => {
    branches += 1;
    const { result, number } = await deploy(cluster.world, `copy-${branches}`, {
      ...INPUTS,
      'wait-minutes': '1',
      'clone-max-rate': '1MB',
    });
    expect(result.conclusion, result.log).toBe('success');
    expect(cluster.world.github.listComments(number)[0]?.body).toMatch(/node-2/);
    await converge();
  });
  expect(copies).toBe(1);
});
