import { describe, expect, test } from 'vitest';
import { buildDesired } from '../cluster/desired.ts';
import { createSource } from '../cluster/testing/fixtures.ts';
import type { Intent } from '../runner/intent.ts';
import { readStep } from './input-fixtures.ts';

const BACKUP: Intent = { kind: 'backup', body: undefined, sha: 'a'.repeat(40), why: 'test' };
const KEY = 'arn:aws:kms:eu-central-1:123456789012:alias/backups';

const readSpec = (inputs: Record<string, string>) => {
  const { inputs: read, problems } = readStep(inputs);
  expect(problems).toEqual([]);
  return read?.spec;
};

test('a bucket is enough', () => {
  expect(readSpec({ backup: '{"bucket": "acme-backups"}' })?.backup).toEqual({
    bucket: 'acme-backups',
    prefix: '',
    retentionDays: 14,
    schedule: { time: '02:30', fullOn: 'sunday' },
    endpoint: null,
    kmsKey: null,
    cipher: 'none',
    permissionsBoundary: null,
  });
});

test.each([
  ['at most five minutes old', '', '5min'],
  ['as old as the team allows', 'archive_timeout = 1h', '1h'],
])('what can be restored is %s', (_, settings, timeout) => {
  const spec = readSpec({ backup: '{"bucket": "acme-backups"}', settings });
  if (spec === undefined) throw new Error('no spec');
  const options = { existing: [], instanceType: null, memoryMib: null };
  expect(buildDesired(spec, options).settings.archive_timeout).toBe(timeout);
  expect(buildDesired({ ...spec, backup: null }, options).settings.archive_timeout).toBe(
    spec.settings.archive_timeout,
  );
});

test('without one there are no backups, and a cluster begins empty', () => {
  expect(readSpec({})).toMatchObject({ backup: null, restore: null });
});

test('snapshots have defaults, and are off without the key', () => {
  const boundary = 'arn:aws:iam::123456789012:policy/postgres-cluster-snapshots';
  expect(readSpec({})?.snapshots).toBeNull();
  expect(readSpec({ snapshots: '{}' })?.snapshots).toEqual({
    ...{ keep: 7, time: '03:00', permissionsBoundary: null },
  });
  const given = { keep: 30, time: '23:45', permissions_boundary: boundary };
  expect(readSpec({ snapshots: JSON.stringify(given) })?.snapshots).toEqual({
    ...{ keep: 30, time: '23:45', permissionsBoundary: boundary },
  });
});

test.each([
  ['none', '{"keep": 0}', /^snapshots\.keep: .*a whole number from 1 to 1000/],
  ['too many', '{"keep": 1001}', /^snapshots\.keep: /],
  ['a part', '{"keep": 1.5}', /^snapshots\.keep: /],
  ['no time of day', '{"time": "24:00"}', /^snapshots\.time: .*a time of day in UTC/],
  [
    'an unknown key',
    '{"kept": 7}',
    /^snapshots: .*Unknown in it: "kept"\. Allowed: a map with keep/,
  ],
  ['a word', 'daily', /^snapshots: "daily" is not allowed\. Allowed: a map with keep/],
  [
    'a name of a policy',
    '{"permissions_boundary": "dlm"}',
    /^snapshots\.permissions_boundary: .*the ARN of an IAM policy/,
  ],
])('snapshots with %s are refused', (_, snapshots, problem) => {
  expect(readStep({ snapshots }).problems).toEqual([expect.stringMatching(problem)]);
});

test('a restore without a time takes the newest state', () => {
  const restore = '{"from": {"bucket": "acme-backups", "cluster": "orders"}}';
  expect(readSpec({ restore })?.restore).toEqual({
    from: createSource({ cluster: 'orders' }),
    time: null,
  });
});

describe('the source of a restore', () => {
  const own = {
    ...{ endpoint: 's3.example.com:9000', kms_key_id: KEY.replace('eu-central-1', 'us-east-1') },
    permissions_boundary: 'arn:aws:iam::123456789012:policy/nodes',
  };
  const written = {
    ...{ endpoint: own.endpoint, kmsKey: own.kms_key_id },
    permissionsBoundary: own.permissions_boundary,
  };
  const from = { bucket: 'old-backups', cluster: 'sales' };
  const restore = (given: object) => JSON.stringify({ from: { ...from, ...given } });
  const backup = (given: object) => JSON.stringify({ bucket: 'acme-backups', ...given });

  test.each<[string, Record<string, string>, object]>([
    ['says where it is without backup', { restore: restore(own) }, written],
    ['is as in backup', { restore: restore({}), backup: backup(own) }, written],
    [
      'may differ from backup',
      {
        restore: restore({ ...own, endpoint: 's3.other.example' }),
        backup: backup({ ...own, kms_key_id: undefined }),
      },
      { ...written, endpoint: 's3.other.example' },
    ],
  ])('%s', (_, inputs, expected) => {
    expect(readSpec(inputs)?.restore?.from).toEqual({ ...createSource(from), ...expected });
  });

  test.each<[string, Record<string, string>, RegExp]>([
    [
      'a key of another region',
      { restore: restore({ kms_key_id: KEY }) },
      /^restore\.from\.kms_key_id: it is a key of eu-central-1/,
    ],
    [
      'a boundary beside that of backup',
      {
        restore: restore(own),
        backup: backup({ permissions_boundary: `${own.permissions_boundary}2` }),
      },
      /^restore\.from\.permissions_boundary: .* backup has another\. Give it in backup only\.$/,
    ],
    [
      'a boundary beside backup without one',
      { restore: restore(own), backup: backup({}) },
      /^restore\.from\.permissions_boundary: .* backup has none\./,
    ],
    [
      'an endpoint that is a URL',
      { restore: restore({ endpoint: 'https://x/y' }) },
      /^restore\.from\.endpoint: /,
    ],
  ])('is refused with %s', (_, inputs, problem) => {
    expect(readStep(inputs).problems).toEqual([expect.stringMatching(problem)]);
  });
});

describe('beside backups', () => {
  const backup = '{"bucket": "acme-backups"}';
  const settings = "archive_mode = on\narchive_command = 'cp %p /x'\narchive_library = ''";

  test('a way to archive of the team is refused', () => {
    expect(readStep({ backup, settings }).problems).toEqual([
      expect.stringMatching(
        /^backup: archive_command is set in settings, .* Remove archive_command/,
      ),
    ]);
    expect(readStep({ settings }).problems).toEqual([]);
    expect(readStep({ backup, settings: 'archive_mode = on' }).problems).toEqual([]);
  });

  test('a cluster is not called global', () => {
    expect(readStep({ backup, 'cluster-name': 'global' }).problems).toEqual([
      expect.stringMatching(/^backup: the cluster is called global, /),
    ]);
    expect(readStep({ 'cluster-name': 'global' }).problems).toEqual([]);
  });
});

describe('refuses', () => {
  test.each([
    [
      'text that is not JSON',
      'bucket=acme-backups',
      /^backup: "bucket=acme-backups" is not allowed\. Allowed: a map with bucket/,
    ],
    ['a missing bucket', '{}', /^backup\.bucket: .*the name of an S3 bucket/],
    [
      'an unknown key',
      '{"bucket": "acme-backups", "retention": 7}',
      /^backup: .*Unknown in it: "retention"\./,
    ],
    ['a dot in the bucket', '{"bucket": "acme.backups"}', /^backup\.bucket: /],
    ['a prefix with ..', '{"bucket": "acme-backups", "prefix": "a/../b"}', /^backup\.prefix: /],
    [
      'a prefix with a line break',
      '{"bucket": "acme-backups", "prefix": "a\\n[global]"}',
      /^backup\.prefix: /,
    ],
    [
      'an endpoint with a path',
      '{"bucket": "acme-backups", "endpoint": "https://x/y"}',
      /^backup\.endpoint: /,
    ],
    [
      'a time of day',
      '{"bucket": "acme-backups", "schedule": {"time": "25:00"}}',
      /^backup\.schedule\.time: /,
    ],
    ['no days', '{"bucket": "acme-backups", "retention_days": 0}', /^backup\.retention_days: /],
    [
      "another region's key",
      `{"bucket": "acme-backups", "kms_key_id": "${KEY}"}`,
      /^backup\.kms_key_id: it is a key of eu-central-1/,
    ],
  ])('%s', (_, backup, problem) => {
    expect(readStep({ backup }).problems).toEqual([expect.stringMatching(problem)]);
  });

  test.each(['2026-11-26', '2026-11-26T05:12:00', '2026-02-30T25:00:00Z', 'yesterday'])(
    'a restore to %s',
    (time) => {
      const restore = JSON.stringify({ from: { bucket: 'acme-backups', cluster: 'orders' }, time });
      expect(readStep({ restore }).problems).toEqual([
        expect.stringMatching(/^restore\.time: .*a time with its zone/),
      ]);
    },
  );
});

describe('command: backup', () => {
  const backup = '{"bucket": "acme-backups"}';

  test('takes the type from the input or the body', () => {
    expect(readStep({ backup }, BACKUP).inputs?.backupType).toBe('incremental');
    expect(readStep({ backup, 'backup-type': 'full' }, BACKUP).inputs?.backupType).toBe('full');
    const called = { ...BACKUP, body: { backup_type: 'full' } };
    expect(readStep({ backup }, called).inputs?.backupType).toBe('full');
  });

  test('needs a bucket', () => {
    expect(readStep({}, BACKUP).problems).toEqual([expect.stringMatching(/^backup: missing\./)]);
  });

  test('refuses another type', () => {
    expect(readStep({ backup, 'backup-type': 'ful' }, BACKUP).problems).toEqual([
      expect.stringMatching(
        /^backup-type: "ful" is not allowed.*full or incremental.*Did you mean/,
      ),
    ]);
  });
});
