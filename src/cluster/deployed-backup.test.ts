import { describe, expect, test } from 'vitest';
import type { BackupSpec } from './backup.ts';
import {
  findGaps,
  findNextBackup,
  findWindow,
  isSameRepository,
  predictExpiry,
  type RecoveryWindow,
  readDeployedBackup,
} from './deployed-backup.ts';
import type { BackupRecord } from './observation.ts';

const at = (text: string) => Date.parse(text) / 1000;

const CONF = `[global]
repo1-type=s3
repo1-path=/production/orders
repo1-s3-bucket=acme-backups
repo1-s3-endpoint=s3.us-east-1.amazonaws.com
repo1-retention-full-type=time
repo1-retention-full=14

[orders]
pg1-path=/var/lib/postgresql-cluster/data
`;
const JSON_TEXT = '{"time":"02:30","fullOn":"sunday"}\n';
const DEPLOYED = {
  bucket: 'acme-backups',
  path: '/production/orders',
  endpoint: null,
  cipher: 'none',
  retentionDays: 14,
  schedule: { time: '02:30', fullOn: 'sunday' },
};
const SPEC: BackupSpec = {
  bucket: 'acme-backups',
  prefix: 'production',
  retentionDays: 14,
  schedule: { time: '02:30', fullOn: 'sunday' },
  endpoint: null,
  kmsKey: null,
  cipher: 'none',
  permissionsBoundary: null,
};

describe('the files of a node', () => {
  const read = (pgbackrestConf: string | null, backupJson: string | null = JSON_TEXT) =>
    readDeployedBackup({ pgbackrestConf, backupJson });

  test('say where it archives to, how long and when', () => {
    expect(read(CONF)).toEqual(DEPLOYED);
  });

  test.each([
    ['aes-256-cbc', 'aes-256-cbc'],
    ['rot13', 'none'],
  ])('name the cipher %s: %s', (written, expected) => {
    const conf = CONF.replace('repo1-retention', `repo1-cipher-type=${written}\nrepo1-retention`);
    expect(read(conf)).toEqual({ ...DEPLOYED, cipher: expected });
  });

  test.each([
    ['no file', null],
    ['an empty file', ''],
    ['no bucket', CONF.replace(/^repo1-s3-bucket=.*$/m, '')],
    ['another bucket than the action writes', CONF.replace('acme-backups', '<b>x</b>')],
    ['another path than the action writes', CONF.replace('/production/', '/$(id)/')],
    ['an empty path', CONF.replace(/^repo1-path=.*$/m, 'repo1-path=')],
  ])('name no repository: %s', (_, text) => {
    expect(read(text)).toBeNull();
  });

  test.each([
    ['no schedule', null],
    ['no JSON', 'time: 02:30'],
    ['another time', '{"time":230,"fullOn":"sunday"}'],
    ['another day', '{"time":"02:30","fullOn":"someday"}'],
    ['null', 'null'],
  ])('have no schedule: %s', (_, text) => {
    expect(read(CONF, text)?.schedule).toBeNull();
  });

  test('a retention that is no number is not known', () => {
    expect(read(CONF.replace('full=14', 'full=many'))?.retentionDays).toBeNull();
  });

  test.each<[string, Partial<BackupSpec>, string, boolean]>([
    ['the same', {}, CONF, true],
    ['another bucket', { bucket: 'other-backups' }, CONF, false],
    ['another prefix', { prefix: '' }, CONF, false],
    ['another service', { endpoint: 's3.example.com:9000' }, CONF, false],
    ['another retention', { retentionDays: 7 }, CONF, true],
    [
      'the same other service',
      { endpoint: 's3.example.com:9000' },
      CONF.replace(
        's3.us-east-1.amazonaws.com',
        's3.example.com\nrepo1-storage-port=9000\nrepo1-s3-uri-style=path',
      ),
      true,
    ],
  ])('the repository: %s', (_, change, text, expected) => {
    const deployed = read(text);
    expect(
      deployed && isSameRepository(deployed, { backup: { ...SPEC, ...change }, cluster: 'orders' }),
    ).toBe(expected);
  });
});

const backup = (day: string, type: BackupRecord['type'] = 'full'): BackupRecord => ({
  label: `${day.replaceAll('-', '')}-023000F`,
  type,
  started: at(`${day}T02:30:00Z`),
  ended: at(`${day}T02:35:00Z`),
  databaseBytes: 1,
  repositoryBytes: 1,
  damaged: false,
  missingSince: null,
});
const BACKUPS = [
  backup('2026-11-08'),
  backup('2026-11-09', 'incr'),
  backup('2026-11-15'),
  backup('2026-11-16', 'incr'),
  backup('2026-11-22'),
];

describe('the window', () => {
  const archivedAt = at('2026-11-26T09:40:00Z');
  const find = (rest: Partial<Parameters<typeof findWindow>[0]> = {}) =>
    findWindow({ backups: BACKUPS, archivedAt, dropped: null, ...rest });
  const from = at('2026-11-08T02:35:00Z');

  test('is from the end of the oldest backup to the newest archived WAL', () => {
    expect(find()).toEqual({ from, until: archivedAt });
  });

  test('is null without a backup', () => {
    expect(find({ backups: [] })).toBeNull();
  });

  test('reaches to the end of the newest backup at least', () => {
    const until = at('2026-11-22T02:35:00Z');
    expect(find({ archivedAt: null })).toEqual({ from, until });
    expect(find({ archivedAt: until - 3600 })).toEqual({ from, until });
  });

  test('ends where WAL was dropped', () => {
    const since = at('2026-11-20T00:00:00Z');
    expect(find({ dropped: { files: 3, since } })).toEqual({ from, until: since });
    expect(find({ dropped: { files: 3, since: 0 } })).toEqual({ from, until: from });
  });
});

describe('the gaps', () => {
  const [first, second] = [at('2026-11-08T02:35:00Z'), at('2026-11-15T02:35:00Z')];
  const since = at('2026-11-12T10:00:00Z');
  const find = (marks: Readonly<Record<number, number>>) =>
    findGaps(BACKUPS.map((one, index) => ({ ...one, missingSince: marks[index] ?? null })));

  test.each<[string, Record<number, number>, readonly RecoveryWindow[]]>([
    ['are none', {}, []],
    ['end with the full backup that closed them', { 2: since }, [{ from: since, until: second }]],
    ['begin in the window', { 2: first - 60 }, [{ from: first, until: second }]],
    ['before the window are none', { 0: first - 3600 }, []],
    [
      'are oldest first, and those that meet are one',
      { 2: since, 4: second - 60 },
      [{ from: since, until: at('2026-11-22T02:35:00Z') }],
    ],
    [
      'may be several',
      { 2: since, 4: second + 60 },
      [
        { from: since, until: second },
        { from: second + 60, until: at('2026-11-22T02:35:00Z') },
      ],
    ],
  ])('%s', (_, marks, expected) => {
    expect(find(marks)).toEqual(expected);
  });

  test('that a later one spans are one with it', () => {
    const [oldest] = BACKUPS;
    if (oldest === undefined) throw new Error('There is no backup.');
    const marked = (ended: number, missingSince: number) => ({ ...oldest, ended, missingSince });
    const backups = [
      { ...oldest, ended: 0 },
      marked(20, 10),
      marked(40, 30),
      marked(50, 5),
      marked(70, 60),
    ];
    expect(findGaps(backups)).toEqual([
      { from: 5, until: 50 },
      { from: 60, until: 70 },
    ]);
  });

  test('of a report that an earlier version stored are none', () => {
    const [backup] = BACKUPS.map(({ missingSince: _, ...rest }) => rest as BackupRecord);
    expect(findGaps(backup === undefined ? [] : [backup])).toEqual([]);
  });
});

describe('a retention', () => {
  const predict = (retentionDays: number, day = '2026-11-27') =>
    predictExpiry({ backups: BACKUPS }, { retentionDays, at: at(`${day}T02:30:00Z`) });

  test('keeps the newest full backup that is older, and all later ones', () => {
    expect(predict(7)).toEqual({
      deleted: [BACKUPS[0], BACKUPS[1]],
      oldestKept: BACKUPS[2],
      restorable: BACKUPS[2],
    });
    expect(predict(1)).toEqual({
      deleted: BACKUPS.slice(0, 4),
      ...{ oldestKept: BACKUPS[4], restorable: BACKUPS[4] },
    });
  });

  test('counts backups of a branch that the cluster left, from which nothing can be restored', () => {
    const [own, ...rest] = BACKUPS;
    const abandoned = rest.filter((one) => one === BACKUPS[2]);
    const backups = [own, ...rest.filter((one) => one !== BACKUPS[2])] as BackupRecord[];
    const options = { retentionDays: 7, at: at('2026-11-27T02:30:00Z') };
    expect(predictExpiry({ backups, abandoned }, options)).toEqual({
      deleted: [BACKUPS[0], BACKUPS[1]],
      oldestKept: BACKUPS[2],
      restorable: BACKUPS[3],
    });
    expect(predictExpiry({ backups: [own as BackupRecord], abandoned }, options)).toMatchObject({
      restorable: null,
    });
  });

  test.each([
    ['the oldest full backup is the newest that is older', 14],
    ['no full backup is older', 30],
  ])('deletes nothing: %s', (_, days) => {
    expect(predict(days)).toBeNull();
  });

  test('does not count an incremental backup as the oldest', () => {
    const [, incremental = backup('2026-11-09', 'incr')] = BACKUPS;
    expect(
      predictExpiry(
        { backups: [incremental] },
        { retentionDays: 1, at: at('2026-11-27T02:30:00Z') },
      ),
    ).toBeNull();
  });
});

test.each([
  ['2026-11-26T02:29:59Z', '2026-11-26T02:30:00Z'],
  ['2026-11-26T02:30:00Z', '2026-11-27T02:30:00Z'],
  ['2026-12-31T09:00:00Z', '2027-01-01T02:30:00Z'],
])('after %s the next backup is due at %s', (now, next) => {
  expect(findNextBackup({ time: '02:30' }, at(now))).toBe(at(next));
});
