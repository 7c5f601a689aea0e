import { describe, expect, test } from 'vitest';
import {
  CLUSTER_FILE_PATH,
  FULL_FILE,
  KEY_A,
  MINIMAL_FILE,
  parseFile,
  readInputsFromFile,
} from './cluster-file-fixtures.ts';
import { CLUSTER_KEYS } from './cluster-schema.ts';
import { createStep, DEPLOY } from './input-fixtures.ts';
import { readInputs } from './read-inputs.ts';
import type { RawInputs } from './step-inputs.ts';

describe('a cluster file', () => {
  test('can have every key that is not a secret', async () => {
    const { values } = await parseFile(FULL_FILE);
    expect([...values.keys()].sort()).toEqual([...CLUSTER_KEYS].sort());
    const { inputs, problems } = await readInputsFromFile(FULL_FILE);
    expect(problems).toEqual([]);
    expect(inputs).toMatchObject({
      spec: {
        name: 'orders',
        region: 'eu-central-1',
        instanceType: 't3.large',
        replicaCount: 3,
        image: 'ghcr.io/acme/postgres',
        imageTag: '17.10',
        primary: 'node-2',
        synchronousReplicas: 1,
        settings: {
          max_connections: '200',
          shared_buffers: '1GB',
          work_mem: '8MB',
          jit: 'off',
          random_page_cost: '1.10',
          log_line_prefix: '%m [%p] ',
        },
        ssh: {
          via: 'instance-connect-endpoint',
          endpointId: 'eice-0a1b2c3d4e5f60718',
          address: 'private',
        },
        network: {
          internetVia: 'nat-gateway',
          avoidZones: ['eu-central-1c'],
          dnsZoneId: 'Z0123456789ABCDEFGHIJ',
        },
        sshCidrs: ['203.0.113.0/24'],
        clientCidrs: ['10.0.0.0/16', '10.1.0.0/16'],
        subnetIds: ['subnet-0a1b2c3d4e5f60718'],
        instanceProfile: 'postgres-nodes',
        vpcCidr: '10.1.0.0/20',
        // A number stays a text as written.
        tags: { Team: 'orders', 'Cost center': '0042' },
        storage: {
          dataGib: 500,
          iops: 6000,
          throughput: 250,
          rootGib: 20,
          kmsKey: 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
        },
        clone: { from: 'replica', maxRate: 51_200 },
      },
      storageAlertPercent: 90,
      waitMinutes: 60,
      backend: {
        type: 's3',
        config: {
          bucket: 'states',
          use_lockfile: true,
          assume_role: { role_arn: 'arn:aws:iam::123456789012:role/states' },
        },
      },
      workingDirectory: 'infrastructure/orders',
      sshUser: 'debian',
      sshPublicKey: KEY_A,
      allowDestroyLabel: 'may-destroy',
      allowCollationLabel: 'may-sort',
      allowSlotLossLabel: 'may-lose',
      allowPlanLabel: 'may-plan',
      labelPrefix: 'db/',
      onPlanChange: 'apply',
      comment: 'shared',
      terraformBinary: 'tofu',
    });
  });

  test('is read like inputs with the same values', async () => {
    const inputs: RawInputs = {
      'cluster-name': 'orders',
      'replica-count': '3',
      'max-connections': '0200',
      settings: "work_mem = 8MB\nlog_line_prefix = '%m '",
      'client-cidrs': '10.1.0.0/16, 10.0.0.0/16',
      'ssh-cidrs': '203.0.113.0/24',
      backend: 's3',
      'backend-config': 'bucket = "states"\nkey = "k"\nregion = "us-east-1"\nencrypt = true',
    };
    const file = `
cluster_name: orders
replica_count: 3
max_connections: 200
settings: { work_mem: 8MB, log_line_prefix: '%m ' }
client_cidrs: [10.1.0.0/16, 10.0.0.0/16]
ssh_cidrs: [203.0.113.0/24]
backend: s3
backend_config: { bucket: states, key: k, region: us-east-1, encrypt: 'true' }
`;
    const both = await readInputsFromFile(file, { step: inputs });
    expect(both.problems).toEqual([]);
    const single = readInputs({ step: createStep(inputs), file: null }, DEPLOY);
    expect((await readInputsFromFile(file)).inputs).toEqual({
      ...single.inputs,
      clusterFile: CLUSTER_FILE_PATH,
    });
  });

  test('numbers of a backend stay as written', async () => {
    const config =
      'backend_config: {bucket: 0123, key: 1.10, region: 1e3, list: [010], flag: true}';
    const { inputs } = await readInputsFromFile(
      `${MINIMAL_FILE.replace('local', 's3')}${config}\n`,
    );
    expect(inputs?.backend?.config).toMatchObject({
      bucket: '0123',
      key: '1.10',
      region: '1e3',
      list: ['010'],
      flag: true,
    });
  });
});

describe('problems of a cluster file', () => {
  test('returns the secrets in the file, so that they are hidden', async () => {
    const { secrets } = await parseFile(`${MINIMAL_FILE}review_key: hunter2-hunter2\n`);
    expect(secrets).toEqual(['hunter2-hunter2']);
  });

  test('a secret that is too short to be hidden does not change the message', async () => {
    const { problems } = await readInputsFromFile(`${MINIMAL_FILE}postgres_password: e\n`);
    expect(problems).toEqual([
      expect.stringMatching(
        /^clusters\/orders\.yml:4: postgres_password: the file contains a secret/,
      ),
    ]);
  });

  test('reports each missing setting of a backend', async () => {
    const { problems } = await readInputsFromFile(MINIMAL_FILE.replace('local', 's3'));
    expect(problems).toEqual(
      ['bucket', 'key', 'region'].map(
        (key) => `clusters/orders.yml:3: backend: ${key} is missing; backend s3 needs it.`,
      ),
    );
  });
});
