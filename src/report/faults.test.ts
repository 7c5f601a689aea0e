import { describe, expect, test } from 'vitest';
import type { ArchiverObservation, NodeObservation, WeakCommit } from '../cluster/observation.ts';
import { alterSystem, createDesired, createHealthy } from '../cluster/testing/fixtures.ts';
import {
  describeArchiver,
  describeExceptions,
  describeFaults,
  describeProofFaults,
} from './faults.ts';
import { createProof } from './fixtures/report.ts';

const NOW = new Date('2026-11-22T03:04:05Z');

const archiver = (overrides: Partial<ArchiverObservation>): ArchiverObservation => ({
  state: 'archiving',
  failed: 3,
  lastFailed: '000000010000000000000003',
  waiting: 2,
  waitingBytes: 33_554_432,
  waitingSince: 1_795_318_200,
  ...overrides,
});

describe('describeProofFaults', () => {
  const alert = { storageAlertPercent: 80, hasBackups: true };

  test.each([
    ['a primary that archives nothing', createProof(1), alert, true],
    [
      'a primary that archives',
      createProof(1, { archivedWal: '000000010000000000000043' }),
      alert,
      false,
    ],
    ['a replica', createProof(2), alert, false],
    [
      'a primary without proof',
      createProof(1, { problem: 'not replayed by node-2' }),
      alert,
      false,
    ],
    ['a cluster without backups', createProof(1), { storageAlertPercent: 80 }, false],
  ])('%s', (_, node, options, isFault) => {
    expect(describeProofFaults(node, options)).toEqual(
      isFault
        ? [expect.stringMatching(/^node-1 is the primary and archives nothing.* Deploy once/)]
        : [],
    );
  });
});

describe('describeArchiver', () => {
  test.each<[string, ArchiverObservation | null, RegExp | null]>([
    ['archiving that is off', null, null],
    ['an archiver that works again', archiver({}), null],
    [
      'an archiver that fails',
      archiver({ state: 'failing' }),
      /^node-1: WAL archiving fails \(3 attempts failed, the last for 000000010000000000000003\)\. 2 WAL files \(32\.0 MiB\) wait on the data volume/,
    ],
    [
      'an archiver without a command',
      archiver({ state: 'unconfigured', waiting: 1 }),
      /^node-1: archive_mode is on, and neither archive_command nor archive_library .* 1 WAL file \(32\.0 MiB\) waits /,
    ],
    [
      'an archiver without a command and without WAL',
      archiver({ state: 'unconfigured', waiting: 0 }),
      null,
    ],
    [
      'an archiver that hangs',
      archiver({ waiting: 64, waitingBytes: 2 ** 30 }),
      /^node-1: WAL archiving is behind\./,
    ],
  ])('%s', (_, found, expected) => {
    const said = describeArchiver('node-1', found);
    if (expected === null) expect(said).toEqual([]);
    else expect(said).toEqual([expect.stringMatching(expected)]);
  });
});

describe('synchronous replication weakened by', () => {
  const desired = { ...createDesired({ synchronousReplicas: 1 }), storageAlertPercent: 80 };
  const [primary, replica] = createHealthy(desired) as [NodeObservation, NodeObservation];
  const hold = (node: NodeObservation, name: string, value: string): NodeObservation => ({
    ...node,
    overrides: { [name]: value },
  });

  test.each<[string, NodeObservation, RegExp | null]>([
    ['nothing', primary, null],
    ['a stronger commit', hold(primary, 'synchronous_commit', 'remote_apply'), null],
    ['more replicas', hold(primary, 'synchronous_standby_names', 'ANY 2 (node_1, node_2)'), null],
    [
      'ALTER SYSTEM on the primary',
      hold(primary, 'synchronous_commit', 'off'),
      /^node-1: synchronous-replicas: 1 does not hold: ALTER SYSTEM holds synchronous_commit at off there.*RESET synchronous_commit/,
    ],
    [
      'on a replica, which may be the next primary',
      hold(replica, 'synchronous_commit', 'remote_write'),
      /^node-2: synchronous-replicas: 1 does not hold once it is the primary: .*not one of its machine/,
    ],
    [
      'an empty list',
      alterSystem(primary, { name: 'synchronous_standby_names', value: '' }),
      /^node-1: synchronous-replicas: 1 does not hold: .* waits for 0 replicas\. Run ALTER SYSTEM RESET synchronous_standby_names/,
    ],
  ])('%s', (_, node, expected) => {
    const faults = describeFaults([node], desired, NOW);
    if (expected === null) expect(faults).toEqual([]);
    else expect(faults).toEqual([expect.stringMatching(expected)]);
    expect(describeFaults([node], { ...createDesired(), storageAlertPercent: 80 }, NOW)).toEqual(
      [],
    );
  });

  const withWeak = (weakCommits: readonly WeakCommit[]) => [
    { ...primary, postgres: primary.postgres && { ...primary.postgres, weakCommits } },
  ];
  const off = { role: 'batch', database: null, value: 'off' };

  test('roles and databases, which is a note', () => {
    const observed = withWeak([
      off,
      { role: null, database: 'logs', value: 'local' },
      { role: 'batch', database: 'logs', value: 'off' },
    ]);
    expect(describeFaults(observed, desired, NOW)).toEqual([]);
    expect(describeExceptions(observed, desired)).toMatch(
      /does not hold for role batch \(synchronous_commit = off\), database logs \(synchronous_commit = local\), role batch in database logs \(synchronous_commit = off\)\. A failover may lose what they commit\./,
    );
    expect(describeExceptions(observed, createDesired())).toBeNull();
    expect(describeExceptions([primary], desired)).toBeNull();
    expect(describeExceptions(withWeak(Array(7).fill(off)), desired)).toContain(', and 2 more.');
  });
});
