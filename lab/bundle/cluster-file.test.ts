import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import type { WorkflowEvent } from '../github/event.ts';
import type { Contents } from '../github/git.ts';
import type { JobOptions, JobResult } from '../runner/job.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench, readPullNumber } from './bench.ts';

const PATH = 'clusters/orders.yml';

let bench: Bench;
let aws: Aws;
let folder: string;
let withAws: Partial<JobOptions>;
/** A server at an address that only a pull request names, and the requests that it received. */
let foreign: Server;
let asked: string[];
let address: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cluster-file-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'cluster-file', instances: 'none', directory: join(folder, 'aws') }),
  ]);
  withAws = { path: reachAws({ folder, reattach: aws.reattach }) };
  foreign = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.statusCode = 404;
    response.end();
  });
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}/state`;
  asked = [];
  bench.github.push({ contents: { [PATH]: describeCluster() } });
});
afterEach(() => {
  expect(asked).toEqual([]);
});
afterAll(async () => {
  foreign.close();
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

/** The file on the default branch, with other lines for some keys. */
function describeCluster(lines: Record<string, string> = {}): string {
  const all = {
    cluster_name: 'orders',
    replica_count: '2',
    ssh_cidrs: '[203.0.113.0/24]',
    backend: 'local',
    ...lines,
  };
  return Object.entries(all)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

/** The inputs of the documented workflow's plan job: the file and its environment's secrets, no password. */
const PLAN = {
  'cluster-file': PATH,
  'ssh-cidrs': '',
  backend: '',
  'postgres-password': '',
  'replication-password': '',
};

const run = (event: WorkflowEvent, inputs: Record<string, string> = {}): Promise<JobResult> =>
  bench.run(event, { ...PLAN, ...inputs }, withAws);

let branches = 0;
/** Opens a pull request, which its workflow sees under `pull_request_target`. */
function open(contents: Contents, more: { fork?: boolean } = {}) {
  const opened = bench.github.openPullRequest({
    branch: `change-${++branches}`,
    title: 'Change the cluster',
    contents,
    ...more,
  });
  return { event: bench.github.asTarget(opened), number: readPullNumber(opened) };
}

const commentOf = (number: number): string => {
  const comments = bench.github.listComments(number);
  expect(comments).toHaveLength(1);
  return comments[0]?.body ?? '';
};

/** All comments of a pull request as one text. */
const commentOfAny = (number: number): string =>
  bench.github
    .listComments(number)
    .map(({ body }) => body)
    .join('\n');

const listNotices = (result: JobResult): string[] =>
  result.annotations.filter(({ level }) => level === 'notice').map(({ message }) => message);

describe('a pull request that changes the cluster file', () => {
  test('is planned without a checkout, with the values of its merge', async () => {
    const { event, number } = open({ [PATH]: describeCluster({ replica_count: '3' }) });
    const result = await run(event);
    expect(listErrors(result)).toEqual([]);
    expect(result.conclusion).toBe('success');
    expect(commentOf(number)).toContain('aws_instance.node["4"]');
    expect(commentOf(number)).not.toContain('[!WARNING]');
    // Files that persist between runs, including the state of the backend local; nothing of the repository.
    expect(readdirSync(result.directories.workspace)).toEqual(['.postgres-cluster']);
    const sha = (event.payload as { pull_request: { head: { sha: string } } }).pull_request.head
      .sha;
    expect(
      bench.github.listCheckRuns(sha).map(({ name, conclusion }) => [name, conclusion]),
    ).toEqual([['PostgreSQL plan: orders', 'success']]);
  });

  test('has no influence beyond its values', async () => {
    const plain = open({ [PATH]: describeCluster({ replica_count: '1' }) });
    const armed = open({
      [PATH]: describeCluster({ replica_count: '1' }),
      '.github/workflows/postgres.yml': 'on: pull_request_target\n',
      'main.tf': 'resource "terraform_data" "evil" {}\n',
      '.postgres-cluster/orders/terraform/evil.tf': 'resource "terraform_data" "evil" {}\n',
      '.postgres-cluster/orders/terraform.tfstate': '{"version":4}',
      '.postgres-cluster/orders/known_hosts': 'i-0 ssh-ed25519 AAAA\n',
      '.terraformrc': 'provider_installation {}\n',
      '.tool-versions': 'terraform 0.1\n',
      'ansible.cfg': '[defaults]\nlibrary = evil\n',
      'group_vars/all.yml': 'ansible_host: evil\n',
      'clusters/group_vars/all.yml': 'ansible_host: evil\n',
      'clusters/billing.yml': describeCluster({ cluster_name: 'billing' }),
      'playbooks/site.yml': '- hosts: localhost\n',
    });
    const digests: (string | undefined)[] = [];
    for (const { event } of [plain, armed]) {
      const result = await run(event);
      expect(listErrors(result)).toEqual([]);
      digests.push(result.outputs['plan-digest']);
      expect(Object.keys(result.files).filter((name) => /evil/.test(name))).toEqual([]);
    }
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(digests[1]).toBe(digests[0]);
  });

  test.each<[string, Contents, string]>([
    [
      'as a link',
      {
        [PATH]: { link: 'other.yml' },
        'clusters/other.yml': describeCluster({ replica_count: '5' }),
      },
      'clusters/orders.yml is a symbolic link',
    ],
    [
      'in a folder that is a link',
      { [PATH]: null, clusters: { link: 'evil' }, 'evil/orders.yml': describeCluster() },
      'clusters is a symbolic link',
    ],
    [
      'as a folder',
      { [PATH]: null, 'clusters/orders.yml/a': 'x' },
      'clusters/orders.yml is a folder',
    ],
  ])('%s is refused', async (_, contents, expected) => {
    const { event, number } = open(contents);
    const result = await run(event);
    expect(result.conclusion).toBe('failure');
    expect(listErrors(result)).toEqual([expect.stringContaining(expected)]);
    expect(commentOf(number)).toContain('failed while checking the inputs');
    expect(result.outputs['has-changes']).toBeUndefined();
  });

  test('that changes the location of the state is planned with the default branch’s values', async () => {
    const lines = {
      replica_count: '3',
      backend: 'http',
      backend_config: `{ address: "${address}" }`,
      ssh_user: 'mallory',
      allow_destroy_label: 'bug',
      on_plan_change: 'apply',
      terraform_binary: './evil',
      image: '127.0.0.1:5000/postgres',
    };
    const { event, number } = open({ [PATH]: describeCluster(lines) });
    const result = await run(event);
    expect(listErrors(result)).toEqual([]);
    const body = commentOf(number);
    expect(body).toContain('aws_instance.node["4"]');
    expect(body).toContain(
      'image, ssh_user, backend, backend_config, allow_destroy_label, on_plan_change, terraform_binary have their values from main in this plan',
    );
  });

  test('that adds a file describes a new cluster, and its backend is not contacted', async () => {
    const lines = {
      cluster_name: 'fresh',
      backend: 'http',
      backend_config: `{ address: "${address}" }`,
    };
    const path = 'clusters/fresh.yml';
    const { event, number } = open({ [path]: describeCluster(lines) });
    const result = await run(event, { 'cluster-file': path });
    expect(listErrors(result)).toEqual([]);
    expect(commentOf(number)).toContain('clusters/fresh.yml is new: main has no such file.');
    expect(commentOf(number)).toMatch(/\*\*Initialise\*\* `node-1`/);
  });

  test('that removes the file is refused until the cluster is destroyed, and its merge deploys nothing', async () => {
    const path = 'clusters/ended.yml';
    bench.github.push({
      contents: { [path]: describeCluster({ cluster_name: 'ended', replica_count: '0' }) },
    });
    const runThere = (event: WorkflowEvent, inputs: Record<string, string> = {}) =>
      bench.run(
        event,
        { ...PLAN, 'cluster-file': path, ...inputs },
        { ...withAws, workDirectory: join(folder, 'ended') },
      );
    expect(listErrors(await runThere(bench.github.dispatch('generate-terraform-apply')))).toEqual(
      [],
    );
    const { event, number } = open({ [path]: null });
    expect(listErrors(await runThere(event))).toEqual([
      expect.stringMatching(/^clusters\/ended\.yml:1: pull request #\d+ removes this file\./),
    ]);
    expect(commentOf(number)).toContain('removes this file');

    // Without a key the servers are not stopped first.
    const destroy = bench.github.dispatch('destroy', { destroy: 'ended' });
    const removed = await runThere(destroy, { 'ssh-private-key': '' });
    expect(listErrors(removed)).toEqual([]);
    expect(removed.annotations.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(
        /^The servers of node-1 were not stopped first, because this job has no/,
      ),
    );
    expect(removed.summary).toContain('Until then the next deploy builds the cluster again');
    expect(Object.values(aws.tables.snapshots)).toHaveLength(1);

    expect(listErrors(await runThere(event))).toEqual([]);
    expect(commentOf(number)).toMatch(/`ended` no cluster to plan\n\nIts state is empty\./);
    const { push } = bench.github.merge(number, 'squash');
    const merged = await runThere(push);
    expect(merged.conclusion).toBe('success');
    expect(listNotices(merged)).toEqual([
      expect.stringMatching(/^Nothing to do: commit [0-9a-f]{7} removes clusters\/ended\.yml/),
    ]);
  });

  test('that conflicts with the default branch gets an error', async () => {
    const path = 'clusters/conflict.yml';
    const write = (count: string) =>
      describeCluster({ cluster_name: 'conflict', replica_count: count });
    bench.github.push({ contents: { [path]: write('1') } });
    const { event, number } = open({ [path]: write('2') });
    bench.github.push({ contents: { [path]: write('3') } });
    const result = await run(event, { 'cluster-file': path });
    expect(listErrors(result)).toEqual([
      expect.stringMatching(
        /^clusters\/conflict\.yml:1: pull request #\d+ conflicts with the branch/,
      ),
    ]);
    expect(commentOf(number)).toContain('failed while checking the inputs');
  });

  test('with errors in the file shows them on their lines', async () => {
    const { event, number } = open({
      [PATH]: `${describeCluster({ region: 'us-eats-1' })}postgres_password: hunter2-hunter2\n`,
    });
    const before = bench.github.journal.length;
    const result = await run(event);
    expect(
      result.annotations.map(({ message, properties }) => [
        message.split('. ')[0],
        properties.file,
        properties.line,
      ]),
    ).toEqual([
      ['clusters/orders.yml:6: postgres_password: the file contains a secret', PATH, '6'],
      ['clusters/orders.yml:5: region: "us-eats-1" is not allowed', PATH, '5'],
    ]);
    expect(commentOf(number)).toContain('us-eats-1');
    expect(result.raw.replace(/^::add-mask::.*$/gm, '')).not.toContain('hunter2');
    expect(JSON.stringify(bench.github.journal.slice(before))).not.toContain('hunter2');
  });

  test('that is pushed to again is planned only for the last push', async () => {
    const { event, number } = open({ [PATH]: describeCluster({ replica_count: '3' }) });
    bench.github.pushToPullRequest(number, {
      contents: { [PATH]: describeCluster({ replica_count: '4' }) },
    });
    const result = await run(event);
    expect(result.conclusion).toBe('success');
    expect(listNotices(result)).toEqual([
      expect.stringMatching(
        /^Nothing to do: [0-9a-f]{7} was pushed to pull request #\d+ meanwhile/,
      ),
    ]);
    expect(bench.github.listComments(number)).toEqual([]);
  });

  test('that is closed says that nothing was applied', async () => {
    const { event, number } = open({ [PATH]: describeCluster({ replica_count: '3' }) });
    await run(event);
    const result = await run(bench.github.asTarget(bench.github.close(number)));
    expect(result.conclusion).toBe('success');
    expect(commentOf(number)).toContain('not applied');
  });
});

describe('a pull request from a fork', () => {
  test('is planned for the commit that a user with write access labelled', async () => {
    const { github } = bench;
    github.setRole('tina', 'triage');
    github.setRole('wanda', 'write');
    const contents = { [PATH]: describeCluster({ replica_count: '3' }) };
    const { event, number } = open(contents, { fork: true });
    const opened = await run(event);
    expect(opened.conclusion).toBe('success');
    expect(commentOf(number)).toContain('waits to be planned');
    expect(commentOf(number)).not.toContain('aws_instance');

    const other = await run(github.asTarget(github.label(number, 'bug', 'wanda')));
    expect(listNotices(other)).toEqual([expect.stringMatching(/the label "bug" was set/)]);
    const triage = await run(github.asTarget(github.label(number, 'allow-plan', 'tina')));
    expect(listNotices(triage)).toEqual([expect.stringMatching(/tina, who has no write access/)]);
    expect(commentOf(number)).toContain('waits to be planned');

    github.unlabel(number, 'allow-plan', 'wanda');
    const planned = await run(github.asTarget(github.label(number, 'allow-plan', 'wanda')));
    expect(listErrors(planned)).toEqual([]);
    expect(commentOf(number)).toContain('aws_instance.node["4"]');

    const push = github.pushToPullRequest(number, {
      contents: { [PATH]: describeCluster({ replica_count: '5' }) },
    });
    const pushed = await run(github.asTarget(push));
    expect(pushed.outputs['has-changes']).toBeUndefined();
    expect(commentOf(number)).toContain('waits to be planned');
    expect(commentOf(number)).not.toContain('aws_instance');
  });

  test('is planned only with that label, also if the inputs describe the cluster', async () => {
    const { github } = bench;
    const inputs = {
      'cluster-file': '',
      'cluster-name': 'plain',
      'ssh-cidrs': '10.0.0.0/8',
      backend: 'local',
    };
    const { number } = open({ 'README.md': 'changed' }, { fork: true });
    for (const [label, by] of [
      ['bug', 'wanda'],
      ['allow-plan', 'tina'],
    ] as const) {
      const result = await run(github.asTarget(github.label(number, label, by)), inputs);
      expect(listNotices(result)).toEqual([expect.stringMatching(/^Nothing to do: the label /)]);
      expect(github.listComments(number)).toEqual([]);
    }
    github.unlabel(number, 'allow-plan');
    const planned = await run(github.asTarget(github.label(number, 'allow-plan', 'wanda')), inputs);
    expect(listErrors(planned)).toEqual([]);
    expect(commentOf(number)).toContain('aws_instance.node["1"]');
  });

  test('that is closed is not searched for a new file', async () => {
    const path = 'clusters/new.yml';
    const text = describeCluster({ cluster_name: '"MARKER"', postgres_password: 'e' });
    const { event, number } = open({ [path]: text }, { fork: true });
    const opened = await run(event, { 'cluster-file': path });
    expect(listNotices(opened)).toEqual([
      expect.stringMatching(/clusters\/new\.yml is not on main yet, .*allow-plan-label/),
    ]);
    const closed = bench.github.asTarget(bench.github.close(number));
    const result = await run(closed, { 'cluster-file': path });
    expect(result.conclusion).toBe('success');
    expect(result.raw).not.toContain('MARKER');
    expect(bench.github.listComments(number)).toEqual([]);
  });

  test('is not searched for its file before it is labelled', async () => {
    const { event, number } = open({ [PATH]: 'replicas: "**no**"\n' }, { fork: true });
    const result = await run(event);
    expect(result.conclusion).toBe('success');
    expect(commentOf(number)).not.toContain('no**');
    expect(commentOf(number)).toContain('waits to be planned');
  });
});

test('an unreadable new file causes an error but no comment', async () => {
  const path = 'clusters/tab.yml';
  const { event, number } = open({ [path]: 'cluster_name: tab\n\treplica_count: 1\n' });
  const result = await run(event, { 'cluster-file': path });
  expect(listErrors(result)).toEqual([
    expect.stringMatching(/^clusters\/tab\.yml:2: a tab is used/),
  ]);
  expect(bench.github.listComments(number)).toEqual([]);
  const closed = await run(bench.github.asTarget(bench.github.close(number)), {
    'cluster-file': path,
  });
  expect(closed.conclusion).toBe('success');
});

test('two files that describe the same cluster have a comment and a review each', async () => {
  const twin = 'clusters/twin.yml';
  const { event, number } = open({
    [PATH]: describeCluster({ replica_count: '4' }),
    [twin]: describeCluster({ replica_count: '1' }),
  });
  const results = [await run(event), await run(event, { 'cluster-file': twin })];
  for (const result of results) expect(listErrors(result)).toEqual([]);
  const comments = bench.github.listComments(number).map(({ body }) => body);
  expect(comments).toHaveLength(2);
  expect(comments[0]).toContain('aws_instance.node["5"]');
  expect(comments[1]).not.toContain('aws_instance.node["3"]');
  const sha = (event.payload as { pull_request: { head: { sha: string } } }).pull_request.head.sha;
  const ids = bench.github.listCheckRuns(sha).map(({ external_id }) => external_id?.split(':')[0]);
  expect(new Set(ids).size).toBe(2);
});

describe('a merge follows the rules from before the merge', () => {
  test.each<[string, Record<string, string>]>([
    ['the location of the state', { working_directory: 'elsewhere', on_plan_change: 'apply' }],
    ['the cluster', { region: 'us-east-2', on_plan_change: 'apply' }],
    ['only a rule', { replica_count: '3', on_plan_change: 'apply' }],
  ])('and stops without a review if it changes %s', async (_, lines) => {
    const path = `clusters/rules-${++branches}.yml`;
    const inputs = { 'cluster-file': path, ...bench.secrets };
    const name = { cluster_name: `rules-${branches}` };
    bench.github.push({ contents: { [path]: describeCluster(name) } });
    const { event, number } = open({ [path]: describeCluster({ ...name, ...lines }) });
    const reviewed = 'replica_count' in lines ? null : await run(event, inputs);
    if (reviewed !== null) expect(listErrors(reviewed)).toEqual([]);
    const result = await run(bench.github.merge(number, 'squash').push, inputs);
    expect(result.conclusion).toBe('failure');
    expect(listErrors(result).join()).toMatch(/Nothing was reviewed/);
    expect(result.raw).not.toContain('Applied all the same');
    expect(commentOfAny(number)).toContain('on_plan_change counts from the next merge on');
  });
});

describe('other runs read the file at their own commit', () => {
  test.each<[string, () => WorkflowEvent, string]>([
    [
      'a merge queue',
      () => {
        const { number } = open({ [PATH]: describeCluster({ replica_count: '4' }) });
        return bench.github.mergeGroup(number);
      },
      'aws_instance.node["5"]',
    ],
    ['a schedule', () => bench.github.schedule(), 'aws_instance.node["3"]'],
  ])('%s', async (_, create, expected) => {
    const result = await run(create());
    expect(listErrors(result)).toEqual([]);
    expect(result.summary).toContain(expected);
  });

  test('a merge queue, with protected values from the default branch', async () => {
    const { number } = open({
      [PATH]: describeCluster({
        replica_count: '4',
        region: 'us-east-2',
        backend: 'http',
        backend_config: `{ address: "${address}" }`,
      }),
    });
    const result = await run(bench.github.mergeGroup(number));
    expect(listErrors(result)).toEqual([]);
    expect(result.summary).toContain('aws_instance.node["5"]');
    expect(result.summary).toContain(
      'region, backend, backend_config have their values from main in this plan',
    );
  });

  test('an operation by an API request', async () => {
    const event = bench.github.dispatch('generate-terraform-plan');
    const result = await run(event);
    expect(listErrors(result)).toEqual([]);
    expect(JSON.stringify(result.files)).toContain('aws_instance');
    const asking = bench.github.dispatch('generate-terraform', { replica_count: 9 });
    expect(listErrors(await run(asking))).toEqual([
      'clusters/orders.yml:2: replica_count: 2 is not what client_payload.replica_count says, which is "9". Give replica_count in one place.',
    ]);
  });

  test('a dispatch from another branch does nothing', async () => {
    bench.github.createBranch('evil');
    const event = bench.github.workflowDispatch({}, undefined, { ref: 'evil' });
    const result = await run(event, { command: 'failover' });
    expect(result.conclusion).toBe('success');
    expect(listNotices(result)).toEqual([
      expect.stringMatching(
        /^Nothing to do: the workflow was started by hand on refs\/heads\/evil\./,
      ),
    ]);
  });

  test('a missing file is an error', async () => {
    const event = bench.github.schedule();
    expect(listErrors(await run(event, { 'cluster-file': 'clusters/none.yml' }))).toEqual([
      expect.stringMatching(/^cluster-file: clusters\/none\.yml is not in commit [0-9a-f]{7}\./),
    ]);
  });

  test('a token without read permission is an error', async () => {
    const token = bench.github.createToken({ permissions: { pull_requests: 'write' } });
    const result = await run(bench.github.schedule(), { 'github-token': token });
    expect(listErrors(result)).toEqual([expect.stringMatching(/contents: read/)]);
  });
});

test('a public key is enough to plan', async () => {
  const { event, number } = open({
    [PATH]: `${describeCluster({ replica_count: '3' })}ssh_public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB orders\n`,
  });
  const result = await run(event, { 'ssh-private-key': '' });
  expect(listErrors(result)).toEqual([]);
  expect(commentOf(number)).toContain('aws_instance.node["4"]');
});
