import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { AnsibleResult } from '../../src/ansible/result.ts';
import { createDesired, createHealthy } from '../../src/cluster/testing/fixtures.ts';
import { createProof } from '../../src/report/fixtures/report.ts';
import { type Aws, startAws } from '../aws/main.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// A cluster with names in a private zone: the plan, the comment, and the names from the state to the outputs. The nodes
// are Ansible's report of a healthy cluster.

vi.setConfig({ testTimeout: 120_000 });

const ZONE = 'Z0123456789ABCDEFGHIJ';
const NAMES = [1, 2].map((number) => `node-${number}.postgres.example.internal`);
const INPUTS = { 'replica-count': '1', 'ssh-via': 'direct', 'dns-zone-id': ZONE };

let bench: Bench;
let aws: Aws;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dns-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'dns-test', instances: 'none', directory: join(folder, 'aws') }),
  ]);
  await aws.edit(({ hostedZones }) => {
    hostedZones[ZONE] = { id: ZONE, name: 'example.internal', isPrivate: true };
  });
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

/** A PATH with the lab's Terraform, and an ansible-playbook that reports a healthy cluster. */
function preparePath(): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const stats = { ok: 1, changed: 0, failures: 0, unreachable: 0 };
  const report: AnsibleResult = {
    observations: createHealthy(createDesired({ size: 2 })) as AnsibleResult['observations'],
    proof: [1, 2].map((number) => createProof(number)) as AnsibleResult['proof'],
    stats: { 'node-1': stats, 'node-2': stats },
    ...{ changes: [], failures: [], notes: [], pending: [] },
  };
  const file = join(folder, 'report.json');
  writeFileSync(file, JSON.stringify(report));
  const program = join(bin, 'ansible-playbook');
  const version = "echo 'ansible-playbook [core 2.19.0]'";
  writeFileSync(
    program,
    `#!/bin/sh\nif [ "$1" = --version ]; then ${version}; else cp '${file}' "$CLUSTER_RESULT"; fi\n`,
  );
  chmodSync(program, 0o755);
  return `${bin}${delimiter}${reachAws({ folder, reattach: aws.reattach })}`;
}

test('each node has a name in the zone, and clients connect by the names', async () => {
  const options = { path: preparePath(), workDirectory: join(folder, 'job') };
  const event = bench.github.openPullRequest({ branch: 'names', title: 'Names' });
  const { number } = event.payload;
  const read = () => bench.github.listComments(number)[0]?.body ?? '';

  const review = await bench.run(event, INPUTS, options);
  expect(listErrors(review)).toEqual([]);
  expect(read()).toContain(`| Names | \`${NAMES[0]}\`, … |`);
  expect(read()).toContain('aws_route53_record.node["2"]');

  const deploy = await bench.run(bench.github.merge(number, 'squash').push, INPUTS, options);
  expect(listErrors(deploy)).toEqual([]);
  const records = Object.values(aws.tables.records).map(
    ({ zone, name, values }) => `${zone} ${name} ${values.join()}`,
  );
  const instances = aws.listInstances().map(({ name, privateIp }) => ({
    node: name.replace('postgres-', ''),
    privateIp,
  }));
  expect(records.sort()).toEqual(
    instances
      .map(({ node, privateIp }) => `${ZONE} ${node}.postgres.example.internal ${privateIp}`)
      .sort(),
  );
  expect(records).toHaveLength(2);
  expect(deploy.outputs).toMatchObject({
    'primary-host': NAMES[0],
    'replica-hosts': JSON.stringify(NAMES.slice(1)),
    'connection-string': `postgresql://postgres@${NAMES.map((name) => `${name}:5432`).join()}/postgres?target_session_attrs=read-write`,
  });
  expect(deploy.outputs['connection-string-public']).toMatch(/@\d+\.\d+\.\d+\.\d+:5432,/);
  expect(read()).toContain(NAMES[0]);
});
