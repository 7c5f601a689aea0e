import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import type { Modification, Volume } from '../aws/world.ts';
import type { WorkflowEvent } from '../github/event.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// A plan that modifies a volume asks EC2 first whether EBS would. The volumes were made smaller outside Terraform, which
// EBS cannot do, so every plan grows them.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const SECRET = 'the-secret-key-of-this-test';

let bench: Bench;
let aws: Aws;
let folder: string;
let volume: Volume;
/** Without a private key, no plan waits for nodes that do not exist. */
let withoutKey: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'volumes-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({
      world: 'volumes-test',
      instances: 'none',
      directory: join(folder, 'aws'),
      key: { id: 'lab', secret: SECRET },
    }),
  ]);
  const file = join(folder, 'key');
  writeFileSync(file, bench.secrets['ssh-private-key'], { mode: 0o600 });
  const publicKey = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
  withoutKey = { 'ssh-private-key': '', 'ssh-public-key': publicKey };
  for (const event of ['generate-terraform', 'generate-terraform-apply'])
    expect(listErrors(await run(bench.github.dispatch(event, {})))).toEqual([]);
  const made = Object.values(aws.tables.volumes).find(({ root }) => !root);
  if (made === undefined) throw new Error('The apply made no data volume.');
  volume = made;
});
beforeEach(async () => {
  await aws.edit((tables) => {
    volume.size = 10;
    tables.forbidden = [];
  });
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

const run = (event: WorkflowEvent, env: Readonly<Record<string, string>> = {}) =>
  bench.run(
    event,
    { 'replica-count': '0', ...(event.name === 'pull_request' && withoutKey) },
    {
      path: reachAws({ folder, reattach: aws.reattach }),
      workDirectory: join(folder, 'job'),
      env: {
        AWS_ENDPOINT_URL_EC2: aws.endpoint,
        AWS_ACCESS_KEY_ID: 'lab',
        AWS_SECRET_ACCESS_KEY: SECRET,
        ...env,
      },
    },
  );

/** Plans a pull request; returns its comment and the job. */
async function review(env: Readonly<Record<string, string>> = {}) {
  const branch = `grow-${Math.random()}`;
  const event = bench.github.openPullRequest({ branch, title: branch });
  const result = await run(event, env);
  const { number } = event.payload;
  return { result, number, comment: bench.github.listComments(number)[0]?.body ?? '' };
}

const modify = (change: Partial<Modification>) =>
  aws.edit(() => {
    const { type, iops, throughput } = volume;
    const [from, to] = [5, 10].map((size) => ({ type, size, iops, throughput }));
    if (from === undefined || to === undefined) return;
    const [started, ends] = [Date.now() - 60_000, Date.now() + 3_600_000];
    volume.modifications = [
      { state: 'optimizing', from, to, started, optimizes: started, ends, fails: null, ...change },
    ];
  });

test('a volume that is being optimised is not modified, and the pull request says so', async () => {
  await modify({});
  const { result, number, comment } = await review();
  expect(listErrors(result)).toEqual([]);
  expect(comment).toMatch(
    new RegExp(
      `The merge would be refused now: ${volume.id} of node-1 \\(data\\) is optimizing, 1 %`,
    ),
  );
  const ways = [
    bench.github.merge(number, 'squash').push,
    bench.github.dispatch('generate-terraform-apply', {}),
  ];
  const refused = [];
  for (const event of ways) {
    const job = await run(event);
    expect(listErrors(job).join()).toContain(`${volume.id} of node-1 (data) is optimizing`);
    refused.push(job);
  }
  // Nothing asked EBS for it.
  expect(volume).toMatchObject({ size: 10, modifications: [{ state: 'optimizing' }] });
  // The runner itself shows the environment of a step, in the first group.
  for (const { log } of [result, ...refused])
    expect(log.slice(log.indexOf('##[endgroup]'))).not.toContain(SECRET);
});

test('a volume that was modified today is modified again', async () => {
  await modify({ state: 'completed' });
  const { comment } = await review();
  expect(comment).toContain(`${volume.id} of node-1 (data) was last modified at`);
  expect(comment).not.toContain('would be refused');
});

test.each<[string, () => unknown, Record<string, string>, string]>([
  [
    'the permission',
    () => aws.edit((tables) => tables.forbidden.push('DescribeVolumesModifications')),
    {},
    "the job's role lacks the permission ec2:DescribeVolumesModifications.",
  ],
  [
    'a valid key',
    () => {},
    { AWS_SECRET_ACCESS_KEY: 'other' },
    "AWS does not accept the job's credentials.",
  ],
  [
    'EC2',
    () => {},
    { AWS_ENDPOINT_URL_EC2: 'http://127.0.0.1:9' },
    "EC2 gave no usable answer; the job's log has its words.",
  ],
  [
    'credentials',
    () => {},
    { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_EC2_METADATA_DISABLED: 'true' },
    'the action found no AWS credentials.',
  ],
])(
  'without %s, the plan goes on and says what was not checked',
  async (_name, prepare, env, words) => {
    await prepare();
    await modify({});
    const { result, comment } = await review(env);
    expect(listErrors(result)).toEqual([]);
    expect(comment).toContain(`This could not be checked: ${words}`);
    expect(comment).not.toContain('would be refused');
  },
);
