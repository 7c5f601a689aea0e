import type { ClusterSpec } from '../../src/cluster/spec.ts';
import { createBackup, createSource, createSpec } from '../../src/cluster/testing/fixtures.ts';
import { REGION, ZONE_ID } from './moto.ts';

// The clusters of the contract.

/** A new cluster, with names in a zone. */
export const SPEC = createSpec({
  region: REGION,
  instanceType: 't3.small',
  replicaCount: 1,
  sshCidrs: ['203.0.113.0/24'],
  // A rule for clients on the port of the rule for replication makes moto return one for the other: planned only.
  clientCidrs: [],
  network: { internetVia: 'public-addresses', avoidZones: [], dnsZoneId: ZONE_ID },
  tags: { Team: 'a' },
});

/** What most of a cluster can change to. */
export const CHANGED: ClusterSpec = {
  ...SPEC,
  instanceType: 't3.medium',
  replicaCount: 2,
  // No second network: moto joins two rules of one port, and the first is gone.
  tags: { Team: 'b' },
  storage: { ...SPEC.storage, dataGib: 30, rootGib: 24 },
};

/** With one node less. */
export const FEWER: ClusterSpec = { ...CHANGED, replicaCount: 1 };

const BACKUP = createBackup({ bucket: 'team-backups', prefix: 'postgres' });
/** With backups. */
export const BACKED_UP: ClusterSpec = { ...FEWER, backup: BACKUP };
/** A policy that moto has as AWS does. */
export const BOUNDARY = 'arn:aws:iam::aws:policy/AmazonS3FullAccess';
/** With a boundary for the nodes' role, and another repository to read. */
export const BOUNDED: ClusterSpec = {
  ...FEWER,
  backup: { ...BACKUP, permissionsBoundary: BOUNDARY },
  restore: { from: createSource({ bucket: 'old-backups' }), time: null },
};
