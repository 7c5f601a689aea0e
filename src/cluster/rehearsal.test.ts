import { expect, test } from 'vitest';
import {
  type Canary,
  describeRehearsal,
  describeRemains,
  nameOriginal,
  nameRehearsal,
  nextNetwork,
} from './rehearsal.ts';
import { createBackup, createSpec } from './testing/fixtures.ts';

const CANARY: Canary = {
  token: '7f9c24e8-3b12-4d5a-9c1e-2f6b8a0d4e11',
  written: '2026-11-26T05:12:03.123456Z',
  roles: 17,
  databases: 4,
  names: 'a'.repeat(64),
};
const SPEC = createSpec({
  primary: 'node-2',
  synchronousReplicas: 1,
  settings: { work_mem: '8MB', max_logical_replication_workers: '6' },
  ssh: { via: 'instance-connect-endpoint', endpointId: null, address: null },
  clientCidrs: ['10.0.0.0/8'],
  network: { internetVia: 'nat-gateway', avoidZones: [], dnsZoneId: 'Z0123456789' },
  tags: { Team: 'data' },
  backup: createBackup({ endpoint: 'minio:9000', cipher: 'aes-256-cbc' }),
  snapshots: { keep: 7, time: '03:00', permissionsBoundary: null },
});

test('a rehearsal is one node that is restored to the canary, and that no client reaches', () => {
  expect(describeRehearsal(SPEC, { canary: CANARY, running: null })).toEqual({
    ...SPEC,
    name: 'orders-rehearsal',
    // Nothing of it acts by itself, whatever the cluster says.
    settings: {
      work_mem: '8MB',
      max_logical_replication_workers: '0',
      'cron.database_name': 'postgres_cluster',
      'cron.launch_active_jobs': 'off',
      'timescaledb.max_background_workers': '0',
    },
    replicaCount: 0,
    primary: null,
    synchronousReplicas: 0,
    clientCidrs: [],
    network: { ...SPEC.network, dnsZoneId: null },
    vpcCidr: '10.43.0.0/16',
    backup: null,
    snapshots: null,
    restore: {
      from: {
        ...{ bucket: 'acme-backups', prefix: 'production', cluster: 'orders' },
        ...{
          endpoint: 'minio:9000',
          kmsKey: null,
          cipher: 'aes-256-cbc',
          permissionsBoundary: null,
        },
      },
      time: '2026-11-26T05:12:03.123456Z',
    },
    rehearsal: CANARY,
  });
});

test('the remains of a rehearsal have its name and restore nothing, also without backups', () => {
  const {
    restore: _,
    rehearsal: __,
    ...rest
  } = describeRehearsal(SPEC, {
    ...{ canary: CANARY, running: null },
  });
  expect(describeRemains({ ...SPEC, backup: null })).toEqual({
    ...rest,
    ...{ restore: null, rehearsal: null, settings: SPEC.settings },
  });
});

test.each([
  ['orders-rehearsal', 'orders'],
  ['orders-rehearsal-rehearsal', 'orders-rehearsal'],
  ['orders', null],
  ['rehearsal', null],
])('%s rehearses %s', (name, original) => {
  expect(nameOriginal(name)).toBe(original);
  if (original !== null) expect(nameRehearsal(original)).toBe(name);
});

const DIGEST = `sha256:${'0'.repeat(64)}`;
test.each([
  ['17', `postgres@${DIGEST}`, `17@${DIGEST}`],
  ['17', `docker.io/library/postgres@${DIGEST}`, `17@${DIGEST}`],
  ['17', DIGEST, '17'],
  ['17', `ghcr.io/acme/postgres@${DIGEST}`, '17'],
  [`17@sha256:${'1'.repeat(64)}`, `postgres@${DIGEST}`, `17@sha256:${'1'.repeat(64)}`],
  ['17', null, '17'],
])('the image of %j is that which runs, %j: %j', (imageTag, running, expected) => {
  const spec = { ...SPEC, imageTag };
  expect(describeRehearsal(spec, { canary: CANARY, running }).imageTag).toBe(expected);
});

test.each([
  ['10.42.0.0/16', '10.43.0.0/16'],
  ['10.43.0.0/16', '10.42.0.0/16'],
  ['10.42.255.0/24', '10.42.254.0/24'],
  ['172.31.0.0/20', '172.31.16.0/20'],
  ['10.255.0.0/16', '10.254.0.0/16'],
  ['192.168.240.0/20', '192.168.224.0/20'],
  ['192.168.0.0/16', '10.168.0.0/16'],
  ['172.31.240.0/20', '172.31.224.0/20'],
])('the network beside %s is %s', (cidr, next) => {
  expect(nextNetwork(cidr)).toBe(next);
});

test('a cluster without backups has nothing to rehearse', () => {
  const spec = { ...SPEC, backup: null };
  expect(() => describeRehearsal(spec, { canary: CANARY, running: null })).toThrow('no backups');
});
