import type { BackupSpec } from '../../src/cluster/backup.ts';
import type { DesiredCluster } from '../../src/cluster/desired.ts';
import type { Step } from '../../src/cluster/rollout/step.ts';
import type { S3 } from '../s3/s3.ts';
import { ROOT, type Testbed } from './testbed.ts';

/** The bucket of a testbed's backups. */
export const BUCKET = 'acme-backups';

/** The policy of the nodes, as templates/aws/backup.tf has it. */
const POLICY = {
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: 's3:ListBucket', Resource: `arn:aws:s3:::${BUCKET}` },
    {
      Effect: 'Allow',
      Action: ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'],
      Resource: `arn:aws:s3:::${BUCKET}/*`,
    },
  ],
};

/** Makes the bucket, and gives the first node of a testbed the role for it. */
export async function admitBackups({ hosts, names: [node = ''] }: Testbed): Promise<S3> {
  if (hosts.s3 === null) throw new Error('There is no S3.');
  await hosts.s3.createBucket(BUCKET);
  await hosts.setProfile(node, POLICY);
  return hosts.s3;
}

/** What a cluster wants whose backups are in the folder `prefix`. */
export function describeBackup(prefix: string): BackupSpec {
  return {
    bucket: BUCKET,
    prefix,
    retentionDays: 14,
    schedule: { time: '02:30', fullOn: 'sunday' },
    endpoint: 's3.lab.internal:9000',
    kmsKey: null,
    cipher: 'none',
    permissionsBoundary: null,
  };
}

/** The steps that begin to archive on the first node of a testbed. */
export function listArchiveSteps({ names: [node = ''] }: Testbed): [Step, Step] {
  return [
    { kind: 'prepare', nodes: [node], tools: 'install' },
    { kind: 'archive', nodes: [node], primary: node },
  ];
}

/** The step that restores the first node of a testbed, whose data is gone, from its own backups. */
export function restoreStep(
  testbed: Testbed,
  { desired, time }: { desired: Pick<DesiredCluster, 'backup'>; time: string | null },
): Step {
  const [node = ''] = testbed.names;
  const { prefix = '', endpoint = null, cipher = 'none' } = desired.backup ?? {};
  const source = {
    ...{ bucket: BUCKET, prefix, endpoint, cipher },
    ...{ cluster: testbed.desired.name, kmsKey: null, permissionsBoundary: null },
  };
  return { kind: 'restore', nodes: [node], ...testbed.configure(node), source, time };
}

/** Takes the data of a testbed's first node away, and what the node knows about it. */
export async function loseData({ hosts, names: [node = ''], desired }: Testbed): Promise<void> {
  const files = ['data', 'data.*', 'pgbackrest-spool/*', 'etc/pgbackrest.conf', 'etc/backup.json'];
  const states = ['record.json', 'work.json', 'restored.json', 'backup-state.json'];
  await hosts.run(
    node,
    `docker rm --force --volumes postgres-${desired.name} && cd ${ROOT} && rm -rf ${[...files, ...states].join(' ')}`,
  );
}
