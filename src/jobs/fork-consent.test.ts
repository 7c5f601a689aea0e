import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startGitHub } from '../../lab/github/github.ts';
import { createClient } from '../github/client.ts';
import { type Answer, startFakeApi } from '../github/fixtures/fake-api.ts';
import type { Consent } from '../runner/intent.ts';
import { Announcement } from './announcement.ts';
import { EffectLabels } from './effect-labels.ts';
import { awaitConsent, checkConsent } from './fork-consent.ts';
import { createJob } from './testing/job.ts';

const repository = { owner: 'acme', repo: 'database' };
const COMMIT = 'abc1234def'.padEnd(40, '0');

describe('checkConsent', () => {
  const writer: Answer = { permission: 'write' };
  const triager: Answer = { permission: 'read', role_name: 'triage' };

  async function check(consent: Consent, allowPlanLabel: string | null, answer: Answer) {
    const api = await startFakeApi({
      [`collaborators/${encodeURIComponent(consent.by)}/permission`]: [answer],
    });
    const options = { repository, consent, allowPlanLabel };
    return checkConsent(api.client, options)
      .then((problem) => ({ problem, asked: api.asked.length }))
      .finally(api.stop);
  }

  test.each<[string, Consent, string | null, Answer, unknown, number]>([
    ['the label by a writer', { label: 'allow-plan', by: 'alice' }, 'allow-plan', writer, null, 1],
    [
      'the label in other case',
      { label: 'Allow-Plan', by: 'alice' },
      'allow-plan',
      { permission: 'admin' },
      null,
      1,
    ],
    [
      'the label by a triager',
      { label: 'allow-plan', by: 'bob' },
      'allow-plan',
      triager,
      'the label "allow-plan" was set by bob, who has no write access to this repository. Somebody who has it takes the label off and puts it on again to ask for a plan.',
      1,
    ],
    [
      'the label by an app',
      { label: 'allow-plan', by: 'labeler[bot]' },
      'allow-plan',
      [404, 'labeler[bot] is not a user'],
      expect.stringContaining('labeler[bot]'),
      1,
    ],
    [
      'another label by a writer',
      { label: 'bug "x"', by: 'alice' },
      'allow-plan',
      writer,
      'the label "bug \\"x\\"" was set, and a pull request from a fork is planned when "allow-plan" is (allow-plan-label).',
      0,
    ],
    [
      'a label that begins with it',
      { label: 'allow-plan-not', by: 'alice' },
      'allow-plan',
      writer,
      expect.any(String),
      0,
    ],
    [
      'any label, if no label is configured',
      { label: 'allow-plan', by: 'alice' },
      null,
      writer,
      expect.stringContaining('no pull request from a fork'),
      0,
    ],
  ])('%s', async (_, consent, label, answer, problem, asked) => {
    expect(await check(consent, label, answer)).toEqual({ problem, asked });
  });

  test('grants nothing if GitHub does not answer', async () => {
    const consent = { label: 'allow-plan', by: 'alice' };
    await expect(check(consent, 'allow-plan', [401, 'Bad credentials'])).rejects.toThrow(
      /Bad credentials/,
    );
    await expect(check(consent, 'allow-plan', [403, 'Must have push access'])).rejects.toThrow(
      /github-token: may not ask what alice may do/,
    );
  });
});

describe('awaitConsent', () => {
  // @actions/core reads the summary's path once.
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'consent-'));
    for (const [name, variable] of [
      ['output', 'GITHUB_OUTPUT'],
      ['summary', 'GITHUB_STEP_SUMMARY'],
    ] as const) {
      writeFileSync(join(folder, name), '');
      vi.stubEnv(variable, join(folder, name));
    }
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  test.each<[string | null, RegExp]>([
    ['allow-plan', /🔒 `orders` waits to be planned[\s\S]*`abc1234` with the label `allow-plan`/],
    [null, /🔒 `orders` not planned[\s\S]*names no label/],
  ])('replaces an older plan and its labels with how to ask for one: %s', async (label, said) => {
    const github = await startGitHub();
    try {
      const { number } = github.openPullRequest({ branch: 'more', title: 'More' }).payload;
      const token = github.createToken({
        permissions: { pull_requests: 'write', issues: 'write' },
      });
      const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 5 });
      const pullRequest = { repository, number, identity: 'orders/1', shared: false };
      const announce = (id: number) =>
        new Announcement({
          client,
          comment: { ...pullRequest, run: { id, attempt: 1 } },
          redact: (text) => text,
        });
      const labels = new EffectLabels({ client, pullRequest, prefix: 'db/' });
      await announce(20).publish('an older plan', { body: (text) => text });
      await labels.show(['destroy']);
      const job = createJob();

      await awaitConsent(job, { announcement: announce(21), labels, label, commit: COMMIT });

      const bodies = github.listComments(number).map(({ body = '' }) => body);
      expect(bodies).toEqual([expect.stringMatching(said)]);
      expect(bodies[0]).not.toContain('an older plan');
      expect(github.listIssues().flatMap((issue) => issue.labels)).toEqual([]);
      expect(readFileSync(join(folder, 'summary'), 'utf8')).toMatch(said);
    } finally {
      await github.stop();
    }
  });
});
