import { describe, expect, test } from 'vitest';
import type { DesiredCluster } from '../desired.ts';
import { createArchiving, createWithBackup } from '../testing/backup-fixtures.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { changeNode, listRefusals, listRolloutSteps } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

const without = createDesired({ allowsBackupLoss: true });
const desired = createWithBackup();

describe('without the label', () => {
  test.each<[string, DesiredCluster, RegExp]>([
    [
      'a shorter retention',
      createWithBackup({ retentionDays: 7 }),
      /^backup\.retention_days: 7 instead/,
    ],
    ['another repository', createWithBackup({ prefix: 'elsewhere' }), /^backup goes to s3:/],
    ['the end of backups', without, /^backup is removed: /],
  ])('%s is refused', (_, wanted, reason) => {
    const refusals = listRefusals(
      rollout(createArchiving(desired), { ...wanted, allowsBackupLoss: false }),
    );
    expect(refusals).toEqual([expect.stringMatching(reason)]);
    expect(refusals[0]).toMatch(/carries the label of allow-destroy-label\.$/);
  });

  test('a repair changes nothing about backups, and is not refused for them', () => {
    const repair = { ...createWithBackup({ retentionDays: 7 }), keepsStorage: true };
    expect(listRolloutSteps(createArchiving(desired), repair)).toEqual([]);
    expect(listRolloutSteps(createArchiving(desired), { ...without, keepsStorage: true })).toEqual(
      [],
    );
  });
});

describe('refused', () => {
  const onDebian = (debian: number | null) =>
    changeNode(createHealthy(without), 'node-2', ({ host }) => ({ host: { ...host, debian } }));

  test.each([
    [12, /^node-2 runs Debian 12, .* command: replace and replace: node-2, /],
    [null, /^node-2 runs another system than Debian, /],
  ])('on Debian %s', (debian, reason) => {
    expect(listRefusals(rollout(onDebian(debian), desired))).toEqual([
      expect.stringMatching(reason),
    ]);
    expect(rollout(onDebian(debian), without).kind).toBe('steps');
  });

  test('into the repository of another cluster', () => {
    const observed = createArchiving(desired, {
      repository: { systemIdentifier: '7300000000000000009' },
    });
    expect(listRefusals(rollout(observed, desired))).toEqual([
      expect.stringMatching(
        /^backup: s3:\/\/acme-backups\/production\/postgres has the backups of another .* 7300000000000000009; node-1 has 7300000000000000001/,
      ),
    ]);
  });

  test('where ALTER SYSTEM archives without backups, unless the settings say how', () => {
    const observed = changeNode(createHealthy(without), 'node-2', () => ({
      overrides: { archive_command: 'cp %p /archive' },
    }));
    const refuse = (of: DesiredCluster) => {
      const result = rollout(observed, of);
      return result.kind === 'refused' ? result.refusals.join(' ') : null;
    };
    expect(refuse(without)).toMatch(
      /^node-2: ALTER SYSTEM holds archive_command there, .*ALTER SYSTEM RESET archive_command on node-2/,
    );
    const settings = { ...without.settings, archive_command: 'cp %p /archive' };
    expect(refuse({ ...without, settings })).toBeNull();
  });

  test('where ALTER SYSTEM archives elsewhere', () => {
    const overrides = { archive_command: 'cp %p secret', archive_mode: 'on' };
    const observed = changeNode(createArchiving(desired), 'node-2', () => ({ overrides }));
    const [reason, ...more] = listRefusals(rollout(observed, desired));
    expect(more).toEqual([]);
    expect(reason).toMatch(/^node-2: ALTER SYSTEM holds archive_command there/);
    expect(reason).not.toContain('secret');
    expect(rollout(observed, { ...desired, keepsStorage: true }).kind).toBe('steps');
  });
});
