import { describe, expect, test } from 'vitest';
import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { createArchiving, createWithBackup } from '../testing/backup-fixtures.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps, stopped } from '../testing/rollout-fixtures.ts';
import { planFailover } from './failover.ts';
import { rollout } from './rollout.ts';

const without = createDesired({ allowsBackupLoss: true });
const desired = createWithBackup();

describe('a new primary', () => {
  const former = createArchiving(createWithBackup({ retentionDays: 7 }));
  /** As the last deploy left them, but for a node that was out of reach. */
  const missed = (name: string) =>
    createArchiving(desired).map((node) =>
      node.name === name ? { ...node, files: former[0]?.files ?? node.files } : node,
    );
  const moves = { ...desired, primary: 'node-2', keepsStorage: true };

  test.each([
    ['with the files of the cluster deletes what expired', createArchiving(desired), false],
    ['with the files of an earlier deploy keeps it', missed('node-2'), true],
    ['does not look at those of others', missed('node-3'), false],
  ])('%s', (_, nodes, isHeld) => {
    const moved = rollout(nodes, moves);
    const lost = nodes.filter(({ name }) => name !== 'node-1');
    const promoted = planFailover(
      { observed: lost, unreachable: ['node-1'], terminated: ['node-1'], states: {} },
      { desired, fenced: null },
    );
    const interrupted = nodes.map((node) => ({
      ...node,
      ...stopped(node),
      control: { state: 'shut down', timeline: 1, lsn: node.standby ? '0/3000148' : '0/2000000' },
      standby: true,
    }));
    for (const [kind, result] of [
      ['switchover', moved],
      ['promote', promoted],
      ['promote', rollout(interrupted, moves)],
    ] as const) {
      const steps = result.kind === 'steps' ? result.steps : [];
      const step = steps.find((one) => one.kind === kind);
      expect(step?.nodes.at(-1)).toBe('node-2');
      expect(step !== undefined && 'holdsExpiry' in step).toBe(isHeld);
    }
  });

  test('gets its files from the next deploy', () => {
    const held = createArchiving(desired).map((node) => {
      const { pgbackrestConf } = node.files;
      const conf = pgbackrestConf?.replace('[global]\n', '[global]\nexpire-auto=n\n') ?? null;
      return node.standby ? node : { ...node, files: { ...node.files, pgbackrestConf: conf } };
    });
    expect(listRolloutSteps(held, desired)).toEqual(['archive node-1']);
    expect(listRolloutSteps(held, { ...desired, keepsStorage: true })).toEqual([]);
  });
});

describe('a repair', () => {
  const repair = (cluster: DesiredCluster) => ({ ...cluster, keepsStorage: true });
  /** The new instance of a node whose data volume was kept. */
  const replaced = (nodes: NodeObservation[]) =>
    changeNode(nodes, 'node-3', (node) => ({
      ...stopped(node),
      container: null,
      host: { ...node.host, authorizedKeysCurrent: false, backupTools: 'absent' },
    }));

  test('begins and ends no backups', () => {
    expect(listRolloutSteps(createHealthy(without), repair(desired))).toEqual([]);
    expect(listRolloutSteps(createArchiving(desired), repair(without))).toEqual([]);
    const empty = createArchiving(desired, { repository: { backups: [] } });
    expect(listRolloutSteps(empty, repair(desired))).toEqual([]);
    const moved = repair(createWithBackup({ prefix: 'elsewhere' }));
    expect(listRolloutSteps(createArchiving(desired), moved)).toEqual([]);
  });

  test('gives a new instance what the primary has', () => {
    const bare = replaced(createArchiving(desired)).map((node) =>
      node.name === 'node-3'
        ? { ...node, files: { ...node.files, pgbackrestConf: null, backupJson: null } }
        : node,
    );
    const result = rollout(bare, repair(desired));
    expect(result).toMatchObject({
      steps: [
        { kind: 'prepare', nodes: ['node-3'], tools: 'install' },
        { kind: 'start', nodes: ['node-3'] },
        { kind: 'archive', nodes: ['node-3'] },
      ],
    });
  });

  test('needs no programs where backups have not begun', () => {
    const result = rollout(replaced(createHealthy(without)), repair(desired));
    expect(result.kind === 'steps' && result.steps[0]).not.toHaveProperty('tools');
  });

  test('works on a host that cannot make backups', () => {
    const old = createHealthy(without).map((node) => ({
      ...node,
      host: { ...node.host, debian: 12 },
    }));
    expect(rollout(old, repair(desired)).kind).toBe('steps');
  });
});
