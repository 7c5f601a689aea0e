import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { EndpointState } from '../aws/instance-connect/endpoint.ts';
import { type Aws, startAws } from '../aws/main.ts';
import type { WorkflowEvent } from '../github/event.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// A cluster that is reached through its Instance Connect Endpoint, which refuses: the comment is made without the nodes
// and says why.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const SECRET = 'the-secret-key-of-this-test';

let bench: Bench;
let aws: Aws;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'endpoint-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({
      world: 'endpoint-test',
      instances: 'none',
      directory: join(folder, 'aws'),
      key: { id: 'lab', secret: SECRET },
    }),
  ]);
  for (const event of ['generate-terraform', 'generate-terraform-apply'])
    expect(listErrors(await run(bench.github.dispatch(event, {})))).toEqual([]);
});
beforeEach(() =>
  aws.edit((tables) => {
    tables.forbidden = [];
  }),
);
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

const run = (event: WorkflowEvent, env: Readonly<Record<string, string>> = {}) =>
  bench.run(
    event,
    { 'replica-count': '1', 'ssh-cidrs': '' },
    {
      path: reachAws({ folder, reattach: aws.reattach }),
      workDirectory: join(folder, 'job'),
      env: {
        AWS_ENDPOINT_URL_EC2: aws.endpoint,
        AWS_ACCESS_KEY_ID: 'lab',
        AWS_SECRET_ACCESS_KEY: SECRET,
        NODE_EXTRA_CA_CERTS: aws.tunnels.certificateFile,
        ...env,
      },
    },
  );

/** Plans a pull request; returns its job, log and comment. */
async function review(env: Readonly<Record<string, string>> = {}) {
  const branch = `change-${Math.random()}`;
  const event = bench.github.openPullRequest({ branch, title: branch });
  const result = await run(event, env);
  const comment = bench.github.listComments(event.payload.number)[0]?.body ?? '';
  return { result, comment };
}

test('without the permission for a tunnel', async () => {
  await aws.edit((tables) => {
    tables.forbidden = ['OpenTunnel'];
  });
  const { result, comment } = await review();
  expect(listErrors(result)).toEqual([]);
  expect(comment).toMatch(/ec2-instance-connect:OpenTunnel/);
  expect(comment).not.toContain('failover');
  // One sentence for both nodes, not a transcript for each.
  expect(comment.match(/OpenTunnel/g)).toHaveLength(1);
  for (const text of [comment, result.log]) expect(text).not.toContain('X-Amz-Signature');
});

test('without the permission to describe it', async () => {
  await aws.edit((tables) => {
    tables.forbidden = ['DescribeInstanceConnectEndpoints'];
  });
  const { result, comment } = await review();
  expect(listErrors(result)).toEqual([]);
  expect(comment).toMatch(/ec2:DescribeInstanceConnectEndpoints/);
});

test('because it could not be made', async () => {
  const change = (state: EndpointState, stateMessage: string) =>
    aws.edit(({ endpoints }) => {
      for (const one of Object.values(endpoints)) Object.assign(one, { state, stateMessage });
    });
  await change('create-failed', 'No free address in the subnet.');
  const { result, comment } = await review();
  await change('create-complete', '');
  expect(listErrors(result)).toEqual([]);
  expect(comment).toMatch(
    /EC2 could not create the EC2 Instance Connect Endpoint eice-\w+\. EC2 says: No free address/,
  );
});

test('without credentials', async () => {
  const { comment } = await review({ AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' });
  expect(comment).toMatch(/credentials/);
});
