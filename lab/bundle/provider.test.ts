import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WorkflowEvent } from '../github/event.ts';
import type { JobOptions, JobResult } from '../runner/job.ts';
import { createProviderMirror, type ProviderMirror } from '../tools/provider-mirror.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// The provider that planned is the provider that applies: Terraform really installs it here, from a mirror.

// Every Terraform command starts the provider's program several times.
vi.setConfig({ testTimeout: 240_000 });

const INPUTS = {
  'review-key': 'b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184',
  'on-plan-change': 'fail',
};
const APPLIED = 'ApplyResourceChange aws_vpc';
const NEXT_STEP = 'Nothing was changed. Open a pull request';

let bench: Bench;
let folder: string;
let mirror: ProviderMirror;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'provider-test-'));
  bench = await openBench();
  mirror = createProviderMirror(folder);
  mirror.release('6.8.0');
});
afterEach(async () => {
  await bench.close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (
  event: WorkflowEvent,
  inputs: Readonly<Record<string, string>> = INPUTS,
  options: Partial<JobOptions> = {},
): Promise<JobResult> =>
  bench.run(event, inputs, { env: { TF_CLI_CONFIG_FILE: mirror.configFile }, ...options });

/** Runs a deploy until the nodes would be configured: this cloud has no machines. */
async function deploy(event: WorkflowEvent, inputs = INPUTS): Promise<JobResult> {
  const done = new AbortController();
  const onLine = (line: string) => {
    if (line.includes('Apply complete!')) done.abort();
  };
  return run(event, inputs, { onLine, signal: done.signal });
}

/** Opens a pull request that creates the cluster, plans it with `version`, and clears that version's calls. */
async function propose({ inputs = INPUTS, version = '6.8.0' } = {}): Promise<WorkflowEvent> {
  const opened = bench.github.openPullRequest({ branch: 'create', title: 'Create the cluster' });
  const planned = await run(opened, inputs);
  expect(listErrors(planned)).toEqual([]);
  expect(mirror.takeCalls(version)).toContain('PlanResourceChange aws_vpc');
  return opened;
}

interface PullRequestPayload {
  readonly pull_request: { readonly number: number; readonly head: { readonly sha: string } };
  readonly repository: { readonly full_name: string };
}
const read = (opened: WorkflowEvent): PullRequestPayload => opened.payload as never;

/** Rewrites the record of a pull request's plan, as any workflow of the repository can. */
async function forge(opened: WorkflowEvent, change: (record: object) => object): Promise<void> {
  const { pull_request, repository } = read(opened);
  const [check] = bench.github.listCheckRuns(pull_request.head.sha);
  const { text, title, summary } = check?.output ?? {};
  const [, body = ''] = /```\n(.*)\.\n```/.exec(text ?? '') ?? [];
  const record = JSON.parse(gunzipSync(Buffer.from(body, 'base64')).toString());
  const forged = gzipSync(JSON.stringify(change(record))).toString('base64');
  const { api } = bench.github.urls;
  const response = await fetch(`${api}/repos/${repository.full_name}/check-runs/${check?.id}`, {
    method: 'PATCH',
    headers: { authorization: `token ${bench.token}` },
    body: JSON.stringify({ output: { title, summary, text: text?.replace(body, forged) } }),
  });
  expect(response.status).toBe(200);
}

const merge = (opened: WorkflowEvent): WorkflowEvent =>
  bench.github.merge(read(opened).pull_request.number, 'squash').push;

/** Asserts that nothing was changed, and that the comment says why. */
function expectStopped(result: JobResult, opened: WorkflowEvent, why: RegExp): void {
  expect(result.conclusion).toBe('failure');
  expect(listErrors(result)[0]).toMatch(why);
  const [comment] = bench.github.listComments(read(opened).pull_request.number);
  expect(comment?.body).toMatch(why);
  expect(comment?.body).toContain(NEXT_STEP);
  expect(['6.8.0', '6.9.0'].flatMap(mirror.takeCalls)).not.toContainEqual(
    expect.stringMatching(/^ApplyResourceChange/),
  );
}

test('a provider release between review and merge is not used by the merge', async () => {
  const opened = await propose();
  mirror.release('6.9.0');
  await deploy(merge(opened));
  expect(mirror.takeCalls('6.9.0')).toEqual([]);
  expect(mirror.takeCalls('6.8.0')).toContain(APPLIED);
});

test('the next pull request plans with the new release, and its merge applies with it', async () => {
  mirror.release('6.9.0');
  const opened = await propose({ version: '6.9.0' });
  await deploy(merge(opened));
  expect(mirror.takeCalls('6.9.0')).toContain(APPLIED);
  expect(mirror.takeCalls('6.8.0')).toEqual([]);
});

test('a provider that was withdrawn after the review stops the merge', async () => {
  const opened = await propose();
  mirror.release('6.9.0');
  mirror.withdraw('6.8.0');
  expectStopped(await deploy(merge(opened)), opened, /6\.8\.0.* is no longer available/);
});

test('a provider whose bytes changed after the review stops the merge', async () => {
  const opened = await propose();
  mirror.release('6.8.0', { bytes: 'something else under the same name' });
  expectStopped(await deploy(merge(opened)), opened, /6\.8\.0.* other checksums/);
});

test('a record whose provider was removed stops the merge', async () => {
  const inputs = { ...INPUTS, 'review-key': '' };
  const opened = await propose({ inputs });
  await forge(opened, (record) => ({ ...record, providerLock: null }));
  const why = /does not say which provider planned it; .* is 6\.8\.0 now/;
  expectStopped(await deploy(merge(opened), inputs), opened, why);
});

test('without a review the newest release applies', async () => {
  mirror.release('6.9.0');
  const applied = await run(bench.github.dispatch('generate-terraform-apply', {}), {});
  expect(listErrors(applied)).toEqual([]);
  expect(mirror.takeCalls('6.9.0')).toContain(APPLIED);
  expect(mirror.takeCalls('6.8.0')).toEqual([]);
});

test('another provider that the state names is never started', async () => {
  const marker = join(folder, 'ran');
  const host = `${platform()}_${arch() === 'x64' ? 'amd64' : arch()}`;
  const planted = join(
    folder,
    'mirror',
    'registry.terraform.io',
    'planted',
    'planted',
    '1.0.0',
    host,
  );
  mkdirSync(planted, { recursive: true });
  const program = `#!/bin/sh\ntouch '${marker}'\n`;
  writeFileSync(join(planted, 'terraform-provider-planted_v1.0.0'), program, { mode: 0o755 });
  // Like a registry, it has everything that is requested.
  const path = JSON.stringify(join(folder, 'mirror'));
  writeFileSync(
    mirror.configFile,
    `provider_installation {\n  filesystem_mirror {\n    path = ${path}\n  }\n}\n`,
  );
  const workDirectory = join(folder, 'job');
  const lasting = join(workDirectory, 'database', 'database', '.postgres-cluster/postgres');
  mkdirSync(lasting, { recursive: true });
  const state = {
    version: 4,
    terraform_version: '1.5.6',
    serial: 1,
    lineage: 'planted',
    outputs: {},
    resources: [
      {
        mode: 'managed',
        type: 'planted_thing',
        name: 'planted',
        provider: 'provider["registry.terraform.io/planted/planted"]',
        instances: [{ schema_version: 0, attributes: { id: 'planted' } }],
      },
    ],
    check_results: null,
  };
  writeFileSync(join(lasting, 'terraform.tfstate'), JSON.stringify(state));
  const opened = bench.github.openPullRequest({ branch: 'planted', title: 'Plant a state' });
  const errors = listErrors(await run(opened, INPUTS, { workDirectory })).join('\n');
  expect(errors).toMatch(
    /not the lock of the provider hashicorp\/aws alone.*nothing was started\. The state/,
  );
  expect(existsSync(marker)).toBe(false);
});
