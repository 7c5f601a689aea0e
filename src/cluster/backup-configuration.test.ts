import { describe, expect, test } from 'vitest';
import type { BackupSpec } from './backup.ts';
import {
  renderBackupJson,
  renderPgbackrestConf,
  renderRestoreConf,
} from './backup-configuration.ts';
import { createBackup, createSource } from './testing/fixtures.ts';

const render = (
  overrides: Partial<BackupSpec> = {},
  options: { region?: string; dataGib?: number } = {},
) =>
  renderPgbackrestConf(createBackup(overrides), {
    ...{ cluster: 'orders', region: 'eu-central-1', dataGib: 20 },
    ...options,
  });

describe('pgbackrest.conf', () => {
  test('a cluster writes into its own folder', () => {
    expect(render()).toMatchInlineSnapshot(`
      "# Written by Postgres Cluster Action; changes made here are overwritten.
      [global]
      repo1-type=s3
      repo1-path=/production/orders
      repo1-s3-bucket=acme-backups
      repo1-s3-region=eu-central-1
      repo1-s3-endpoint=s3.eu-central-1.amazonaws.com
      repo1-s3-key-type=auto
      repo1-storage-ca-file=/opt/pgbackrest/ca-certificates.crt
      repo1-retention-full-type=time
      repo1-retention-full=14
      repo1-bundle=y
      repo1-block=y
      archive-push-queue-max=2GiB
      start-fast=y
      archive-async=y
      spool-path=/var/spool/pgbackrest
      compress-type=zst
      process-max=2
      lock-path=/tmp/pgbackrest
      log-level-file=off
      cmd=/opt/pgbackrest/pgbackrest

      [global:backup]
      archive-timeout=1800

      [orders]
      pg1-path=/var/lib/postgresql-cluster/data
      pg1-socket-path=/var/run/postgresql
      pg1-user=postgres
      pg1-database=postgres_cluster
      "
    `);
  });

  test('another service is reached by path, on its port', () => {
    const conf = render({ endpoint: 's3.example.com:9000' });
    expect(conf).toContain('\nrepo1-s3-endpoint=s3.example.com\n');
    expect(conf).toContain('\nrepo1-storage-port=9000\n');
    expect(conf).toContain('\nrepo1-s3-uri-style=path\n');
    expect(render({ endpoint: 's3.example.com' })).not.toContain('repo1-storage-port');
  });

  test('a cipher is named, and its key is left to the node', () => {
    const conf = render({ cipher: 'aes-256-cbc' });
    expect(conf).toContain('\nrepo1-cipher-type=aes-256-cbc\n');
    expect(conf).not.toContain('cipher-pass');
    expect(render()).not.toContain('cipher');
    const source = createSource({ cipher: 'aes-256-cbc' });
    expect(renderRestoreConf(source, 'eu-central-1')).toContain(
      '\nrepo1-cipher-type=aes-256-cbc\n',
    );
  });

  test.each([
    ['us-east-1', 's3.us-east-1.amazonaws.com'],
    ['us-gov-west-1', 's3.us-gov-west-1.amazonaws.com'],
    ['cn-north-1', 's3.cn-north-1.amazonaws.com.cn'],
  ])('Amazon has the endpoint of %s', (region, host) => {
    expect(render({}, { region })).toContain(`\nrepo1-s3-endpoint=${host}\n`);
  });

  test('a key of the team encrypts the objects', () => {
    const kmsKey = 'arn:aws:kms:eu-central-1:123456789012:alias/backups';
    expect(render({ kmsKey })).toContain(`\nrepo1-s3-kms-key-id=${kmsKey}\n`);
    expect(render()).not.toContain('kms');
  });

  test.each([
    [4, 1],
    [20, 2],
    [500, 50],
    [16_384, 64],
  ])('on a volume of %d GiB at most %d GiB of WAL wait', (dataGib, gib) => {
    expect(render({}, { dataGib })).toContain(`\narchive-push-queue-max=${gib}GiB\n`);
  });

  test.each<Partial<BackupSpec>>([
    { bucket: 'a\nrepo1-type=posix' },
    { prefix: 'a b' },
    { prefix: 'a\r' },
    { endpoint: '' },
    { kmsKey: 'a\u2028b' },
  ])('%j is not written', (overrides) => {
    expect(() => render(overrides)).toThrow('is no value of an option');
  });
});

describe('the source of a restore', () => {
  const source = createSource();

  test('is only read', () => {
    const conf = renderRestoreConf(source, 'eu-central-1');
    expect(conf).toMatchInlineSnapshot(`
      "# Written by Postgres Cluster Action; changes made here are overwritten.
      [global]
      repo1-type=s3
      repo1-path=/sales
      repo1-s3-bucket=acme-backups
      repo1-s3-region=eu-central-1
      repo1-s3-endpoint=s3.eu-central-1.amazonaws.com
      repo1-s3-key-type=auto
      repo1-storage-ca-file=/opt/pgbackrest/ca-certificates.crt
      archive-async=y
      spool-path=/var/spool/pgbackrest
      compress-type=zst
      process-max=2
      lock-path=/tmp/pgbackrest
      log-level-file=off
      cmd=/opt/pgbackrest/pgbackrest

      [sales]
      pg1-path=/var/lib/postgresql-cluster/data
      pg1-socket-path=/var/run/postgresql
      pg1-user=postgres
      pg1-database=postgres_cluster
      "
    `);
    for (const word of ['retention', 'queue', 'bundle']) expect(conf).not.toContain(word);
  });

  test('may be in another service', () => {
    const conf = renderRestoreConf({ ...source, endpoint: 'minio:9000' }, 'eu-central-1');
    expect(conf).toContain('\nrepo1-s3-endpoint=minio\n');
    expect(conf).toContain('\nrepo1-storage-port=9000\n');
  });
});

test('the schedule is JSON', () => {
  expect(renderBackupJson({ time: '02:30', fullOn: 'sunday' })).toBe(
    '{"time":"02:30","fullOn":"sunday"}\n',
  );
});
