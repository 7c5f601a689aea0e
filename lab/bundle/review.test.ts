import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import type { JobOptions } from '../runner/job.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench, readPullNumber } from './bench.ts';

let bench: Bench;
let aws: Aws;
let folder: string;
let withAws: Partial<JobOptions>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'review-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'review-test', instances: 'none', directory: join(folder, 'aws') }),
  ]);
  withAws = { path: reachAws({ folder, reattach: aws.reattach }) };
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

describe('a pull request', () => {
  test('gets one comment with the plan, updated by the next push', async () => {
    const opened = bench.github.openPullRequest({ branch: 'first', title: 'Create the cluster' });
    const number = readPullNumber(opened);
    const first = await bench.run(opened, {}, withAws);
    expect(listErrors(first)).toEqual([]);
    expect(first.conclusion).toBe('success');
    expect(first.outputs).toMatchObject({
      'has-changes': 'true',
      'to-destroy': '0',
      'to-replace': '0',
    });
    expect(Number(first.outputs['to-add'])).toBeGreaterThan(10);
    const [comment, ...others] = bench.github.listComments(number);
    expect(others).toEqual([]);
    expect(comment?.body).toContain('aws_instance.node["1"]');
    expect(comment?.body).toMatch(/new cluster of 3 nodes/);
    expect(first.summary).toContain('aws_ebs_volume');
    expect(comment?.body).toMatch(/\*\*Initialise\*\* `node-1`/);

    const pushed = bench.github.pushToPullRequest(number);
    const second = await bench.run(pushed, { 'replica-count': '3' }, withAws);
    const after = bench.github.listComments(number);
    expect(after.map(({ id }) => id)).toEqual([comment?.id]);
    expect(after[0]?.body).toContain('aws_instance.node["4"]');
    expect(second.outputs['comment-id']).toBe(String(comment?.id));
    expect(second.outputs['plan-digest']).not.toBe(first.outputs['plan-digest']);
  });

  test('has the same digest for the same change', async () => {
    const opened = bench.github.openPullRequest({ branch: 'same', title: 'Same again' });
    const digests = [
      (await bench.run(opened, {}, withAws)).outputs['plan-digest'],
      (await bench.run(opened, {}, withAws)).outputs['plan-digest'],
    ];
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(digests[1]).toBe(digests[0]);
  });

  test('does not change a comment that only contains the marker', async () => {
    const opened = bench.github.openPullRequest({ branch: 'forged', title: 'Forged' });
    const number = readPullNumber(opened);
    await bench.run(opened, {}, withAws);
    const own = bench.github.listComments(number)[0];
    const forged = bench.github.commentAs('mallory', number, own?.body ?? '');
    await bench.run(bench.github.pushToPullRequest(number), { 'replica-count': '1' }, withAws);
    const comments = bench.github.listComments(number);
    expect(comments).toHaveLength(2);
    expect(comments.find(({ id }) => id === forged.id)?.body).toBe(own?.body);
    expect(comments.find(({ id }) => id === own?.id)?.body).not.toBe(own?.body);
  });

  test('from a fork, without secrets and with a read-only token, gets the summary and warnings', async () => {
    const opened = bench.github.openPullRequest({
      branch: 'fork',
      title: 'From a fork',
      fork: true,
    });
    const token = bench.github.createToken({
      permissions: { contents: 'read', pull_requests: 'read', issues: 'read' },
    });
    const none = { 'postgres-password': '', 'replication-password': '', 'ssh-private-key': '' };
    const result = await bench.run(
      opened,
      { ...none, 'github-token': token },
      { ...withAws, token },
    );
    expect(listErrors(result)).toEqual([]);
    expect(result.conclusion).toBe('success');
    expect(bench.github.listComments(readPullNumber(opened))).toEqual([]);
    expect(result.summary).toContain('aws_instance.node["1"]');
    expect(result.annotations.map(({ level, message }) => [level, message])).toEqual([
      ['warning', expect.stringMatching(/^ssh-private-key: GitHub withholds secrets/)],
      ['warning', expect.stringMatching(/^github-token: The review could not be stored/)],
      ['warning', expect.stringMatching(/^github-token: may not comment here/)],
    ]);
  });

  test('by Dependabot is planned like a fork’s, and with secrets after a person pushes to it', async () => {
    const opened = bench.github.openPullRequest({
      branch: 'dependabot/action',
      title: 'Bump the action',
      author: 'dependabot[bot]',
    });
    const first = await bench.run(opened, {}, withAws);
    expect(listErrors(first)).toEqual([]);
    expect(first.conclusion).toBe('success');
    expect(first.summary).toContain('aws_instance.node["1"]');
    expect(first.annotations.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^ssh-private-key: GitHub withholds secrets from a run that Dependabot/,
      ),
      expect.stringMatching(/^github-token: The review could not be stored/),
      expect.stringMatching(/^github-token: may not comment here/),
    ]);

    const number = readPullNumber(opened);
    const pushed = bench.github.pushToPullRequest(number, { by: 'alice' });
    const second = await bench.run(pushed, {}, withAws);
    expect(second.annotations).toEqual([]);
    expect(bench.github.listComments(number)).toHaveLength(1);
    // Its own merge has no secrets, either.
    const { push } = bench.github.merge(number, 'squash', 'dependabot[bot]');
    const third = await bench.run(push, {}, withAws);
    expect(listErrors(third)).toEqual(
      ['postgres-password', 'replication-password', 'ssh-private-key'].map((name) =>
        expect.stringMatching(
          `^${name}: missing. GitHub gives no secrets to a run that Dependabot`,
        ),
      ),
    );
  });

  test('whose comment GitHub refuses still succeeds, with a warning', async () => {
    const opened = bench.github.openPullRequest({ branch: 'unlucky', title: 'Unlucky' });
    bench.github.failNext({ path: /\/comments/, times: 20, status: 422 });
    const result = await bench.run(opened, {}, withAws);
    bench.github.clearFaults();
    expect(result.conclusion).toBe('success');
    // Once while the job runs, and once for the retry after it.
    expect(result.annotations).toEqual(
      [1, 2].map(() =>
        expect.objectContaining({
          level: 'warning',
          message: expect.stringMatching(/^The comment could not be written/),
        }),
      ),
    );
  });

  test('whose last comment GitHub refuses gets it after the job', async () => {
    const opened = bench.github.openPullRequest({ branch: 'late', title: 'Late' });
    // The comment "planning", and the plan.
    bench.github.failNext({ method: 'POST', path: /\/comments/, times: 2, status: 422 });
    const result = await bench.run(opened, {}, withAws);
    bench.github.clearFaults();
    expect(result.conclusion).toBe('success');
    const [comment, ...others] = bench.github.listComments(readPullNumber(opened));
    expect(others).toEqual([]);
    expect(comment?.body).toContain('aws_instance.node["1"]');
  });

  test('whose plan fails shows the failure instead of an older plan, without a secret', async () => {
    const opened = bench.github.openPullRequest({ branch: 'broken', title: 'Broken' });
    await bench.run(opened, {}, withAws);
    const pushed = bench.github.pushToPullRequest(readPullNumber(opened));
    const secret = bench.secrets['postgres-password'];
    const result = await bench.run(pushed, { 'subnet-ids': 'subnet-0123456789abcdef0' }, withAws);
    expect(result.conclusion).toBe('failure');
    const [comment, ...others] = bench.github.listComments(readPullNumber(opened));
    expect(others).toEqual([]);
    expect(comment?.body).toContain('failed while planning');
    expect(comment?.body).toContain('subnet-0123456789abcdef0');
    expect(comment?.body).not.toContain(secret);
  });

  test.each<[string, Record<string, string>]>([
    ['one of them', { 'replica-count': 'many' }],
    ['the region, which is part of the comment’s key', { region: 'us-east-1a' }],
    ['the whole request', { request: '{"region": ' }],
  ])(
    'whose inputs are refused shows the error instead of an older plan: %s',
    async (_case, wrong) => {
      const opened = bench.github.openPullRequest({ branch: 'inputs', title: 'Inputs' });
      const number = readPullNumber(opened);
      const labels = { 'label-prefix': 'db/' };
      bench.github.label(number, 'db/restart');
      await bench.run(opened, labels, withAws);
      const sha = (opened.payload as { pull_request: { head: { sha: string } } }).pull_request.head
        .sha;
      expect(bench.github.listCheckRuns(sha).at(-1)?.conclusion).toBe('success');
      bench.github.label(number, 'db/restart');

      const result = await bench.run(opened, { ...labels, ...wrong }, withAws);
      const [name = ''] = Object.keys(wrong);
      expect(listErrors(result)).toEqual([expect.stringMatching(`^${name}: `)]);
      const [comment, ...others] = bench.github.listComments(number);
      expect(others).toEqual([]);
      expect(comment?.body).toContain('failed while checking the inputs');
      expect(comment?.body).toContain(`${name}: `);
      expect(comment?.body).not.toContain('aws_instance');
      expect(result.summary).toContain('failed while checking the inputs');
      const check = bench.github.listCheckRuns(sha).at(-1);
      expect(check).toMatchObject({ name: 'PostgreSQL plan: postgres', conclusion: 'failure' });
      const issue = bench.github.listIssues().find((one) => one.number === number);
      expect(issue?.labels).toEqual([]);
    },
  );

  test('is warned about a major version past its end of life', async () => {
    const opened = bench.github.openPullRequest({ branch: 'old', title: 'Stay on 14' });
    const result = await bench.run(opened, { 'image-tag': '14-alpine' }, withAws);
    const message = 'PostgreSQL 14 has had no security fixes since 2026-11-12';
    expect(result.annotations.map((one) => one.message)).toEqual([
      expect.stringContaining(message),
    ]);
    expect(bench.github.listComments(readPullNumber(opened))[0]?.body).toContain(message);
  });

  test('in a merge queue is planned, but gets no comment', async () => {
    const opened = bench.github.openPullRequest({ branch: 'queued', title: 'Queued' });
    const result = await bench.run(bench.github.mergeGroup(readPullNumber(opened)), {}, withAws);
    expect(result.conclusion).toBe('success');
    expect(result.outputs['has-changes']).toBe('true');
    expect(bench.github.listComments(readPullNumber(opened))).toEqual([]);
  });
});

test('plan and apply run alone through repository_dispatch and return their results as JSON', async () => {
  const options = { ...withAws, workDirectory: join(folder, 'job') };
  const inputs = { 'instance-type': 't3.small', 'replica-count': '1' };
  const dispatch = (type: string) => bench.run(bench.github.dispatch(type), inputs, options);
  const planned = await dispatch('generate-terraform-plan');
  expect(Number(planned.outputs['to-add'])).toBeGreaterThan(10);
  const plan = JSON.parse(planned.files['plan-json'] ?? '');
  expect(plan.variables.instance_type.value).toBe('t3.small');
  expect(plan.format_version).toMatch(/^1\./);

  const applied = await dispatch('generate-terraform-apply');
  expect(listErrors(applied)).toEqual([]);
  const apply = JSON.parse(applied.files['apply-json'] ?? '');
  expect(apply.outputs.nodes.value).toHaveLength(2);
  const again = await dispatch('generate-terraform-plan');
  expect(again.outputs).toMatchObject({ 'has-changes': 'false', 'to-add': '0' });
});
