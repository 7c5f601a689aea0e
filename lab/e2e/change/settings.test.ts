import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PAUSE_LIMIT_MS } from '../../load.ts';
import { deploy } from '../stage.ts';
import { LiveCluster, ROOT } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '1' };
const NODES = ['node-1', 'node-2'];

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

const give = (...lines: string[]) => ({ ...INPUTS, settings: lines.join('\n') });
const onAll = (value: string) => Object.fromEntries(NODES.map((node) => [node, value]));

describe('a change of settings', () => {
  test('that needs only a reload restarts nothing', async () => {
    const { restarted, report, primary } = await cluster.change(
      'reload',
      give('work_mem = 8MB', "log_min_duration_statement = '1min' # slow ones only"),
      { again: true },
    );
    expect(restarted).toEqual([]);
    expect(report.lives).toEqual(
      Object.fromEntries(Object.values(cluster.listServers()).map(({ host }) => [host, 1])),
    );
    expect(primary.after).toBe(primary.before);
    expect(await cluster.askAll('SHOW work_mem')).toEqual(onAll('8MB'));
    expect(await cluster.askAll('SHOW log_min_duration_statement')).toEqual(onAll('1min'));
  });

  test('that needs a restart restarts every node once, and writes pause only for a switchover', async () => {
    const { restarted, report, primary } = await cluster.change(
      'restart',
      give('work_mem = 8MB', 'shared_buffers = 192MB'),
    );
    expect(restarted).toEqual(NODES);
    expect(Object.values(report.lives)).toEqual([2, 2]);
    expect(report.downTogether).toEqual([]);
    expect(primary.after).not.toBe(primary.before);
    expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
    expect(await cluster.askAll('SHOW shared_buffers')).toEqual(onAll('192MB'));
    // Removed from the input, it has PostgreSQL's default again.
    expect(await cluster.askAll('SHOW log_min_duration_statement')).toEqual(onAll('-1'));
  });

  // Both are settings that a replica needs at least as high as its primary.
  test('raises one setting and lowers another together, and no replay pauses', async () => {
    const { report } = await cluster.change(
      'raise one, lower another',
      give('shared_buffers = 192MB', 'max_connections = 180', 'max_worker_processes = 7'),
    );
    expect(report.downTogether).toEqual([]);
    expect(await cluster.askAll('SHOW max_connections')).toEqual(onAll('180'));
    expect(await cluster.askAll('SHOW max_worker_processes')).toEqual(onAll('7'));
    expect(await cluster.askAll('SHOW work_mem')).toEqual(onAll('4MB'));
  });

  test('resets a removed setting to its default, and no replay pauses', async () => {
    const { report } = await cluster.change('lower', INPUTS);
    expect(report.downTogether).toEqual([]);
    expect(await cluster.askAll('SHOW max_connections')).toEqual(onAll('100'));
    expect(await cluster.askAll('SHOW max_worker_processes')).toEqual(onAll('8'));
    expect(await cluster.askAll('SHOW shared_buffers')).toEqual(onAll('256MB'));
  });
});

describe('a change of volumes', () => {
  test('grows every file system without a pause, and settings follow', async () => {
    const { restarted, report, primary, result } = await cluster.change(
      'volumes',
      { ...INPUTS, 'data-volume-size': '21' },
      { again: true },
    );
    expect(restarted).toEqual([]);
    expect(primary.after).toBe(primary.before);
    expect(report.downTogether).toEqual([]);
    expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
    expect(report.lives).toEqual(
      Object.fromEntries(Object.values(cluster.listServers()).map(({ host }) => [host, 1])),
    );
    for (const node of NODES) {
      expect(result.log).toContain(`Grow the file systems of ${node} into their volumes`);
      const type = await cluster.run(node, 'stat', '--file-system', '--format', '%T', ROOT);
      expect(type.trim()).toBe('xfs');
      const blocks = await cluster.run(node, 'stat', '--file-system', '--format', '%b', ROOT);
      // 4 KiB each; without the log.
      expect((Number(blocks) * 4096) / 1024 ** 3).toBeGreaterThan(20.9);
    }
    expect(await cluster.askAll('SHOW max_slot_wal_keep_size')).toEqual(onAll('5376MB'));
  });

  test('that EC2 fails to make on one node is made by the next run', async () => {
    const inputs = { ...INPUTS, 'data-volume-size': '22' };
    const [volume = ''] = cluster.instance('node-2').volumes;
    await cluster.world.aws.edit(({ ebs }) => {
      ebs.failing[volume] = 'modifying';
    });
    const controller = new AbortController();
    const { result } = await deploy(cluster.world, 'failed-modification', inputs, {
      signal: controller.signal,
      onLine: (line) => {
        if (line.includes(`waiting until EC2 has grown the data volume ${volume}`)) {
          controller.abort();
        }
      },
    });
    expect(result.conclusion, result.log).toBe('cancelled');
    const measure = (node: string) =>
      cluster.run(node, 'stat', '--file-system', '--format', '%b', ROOT).then(Number);
    expect((await measure('node-2')) * 4096).toBeLessThan(21 * 1024 ** 3);
    const { restarted } = await cluster.change('volumes, again', inputs);
    expect(restarted).toEqual([]);
    expect((await measure('node-2')) * 4096).toBeGreaterThan(21.9 * 1024 ** 3);
  });
});

describe('settings are refused and change nothing', () => {
  test('if names, values or ranges are wrong, with all errors together', async () => {
    await cluster.refuse(
      'wrong settings',
      give('work_mem = lots', 'no_such_setting = 1', 'deadlock_timeout = 0'),
      { reason: [/work_mem/, /no_such_setting/, /deadlock_timeout = 0 is below its minimum 1ms/] },
    );
  });

  test('if PostgreSQL would not start with them', async () => {
    await cluster.refuse(
      'a server that does not start',
      give("shared_preload_libraries = 'does_not_exist'"),
      { reason: /does_not_exist/ },
    );
    expect(await cluster.askAll('SHOW shared_preload_libraries')).toEqual(onAll(''));
  });
});
