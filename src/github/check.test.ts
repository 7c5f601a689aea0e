import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { CHECK_BUDGET, type CheckContent, Checks } from './check.ts';
import { createClient } from './client.ts';

const repository = { owner: 'acme', repo: 'database' };
const name = 'postgres / plan';
const done = { name, status: 'completed', conclusion: 'success', title: 'Planned' } as const;
const content: CheckContent = { ...done, summary: '2 to add', text: 'record', externalId: 'a/1' };

let github: GitHub;
let commit: string;
let waits: number[];
beforeEach(async () => {
  waits = [];
  github = await startGitHub();
  commit = github.openPullRequest({ branch: 'more', title: 'More' }).payload.pull_request.head.sha;
});
afterEach(() => github.stop());

function connect({ access = 'write', login }: { access?: 'read' | 'write'; login?: string } = {}) {
  const token = github.createToken({
    permissions: { checks: access },
    ...(login === undefined ? {} : { login }),
  });
  const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 1 });
  const wait = async (seconds: number) => waits.push(seconds);
  return new Checks(client, { ...repository, wait });
}

async function findTexts(checks = connect()) {
  const found = await checks.find({ commit, name });
  return found.outcome === 'found' ? found.checks.map(({ text }) => text) : found;
}

describe('Checks.create and update', () => {
  test('write the given content', async () => {
    const checks = connect();
    const created = await checks.create(commit, {
      name,
      status: 'in_progress',
      title: 'Planning',
      summary: '',
    });
    if (created.outcome !== 'created') throw new Error(created.outcome);
    expect(github.listCheckRuns(commit)[0]).toMatchObject({
      status: 'in_progress',
      conclusion: null,
    });
    expect(await checks.update(created.id, content)).toEqual({ ...created, outcome: 'updated' });
    const [run] = github.listCheckRuns(commit);
    expect(run).toMatchObject({
      name,
      head_sha: commit,
      status: 'completed',
      conclusion: 'success',
      external_id: 'a/1',
      output: { title: 'Planned', summary: '2 to add', text: 'record' },
      app: { slug: 'github-actions' },
    });
    expect(run?.html_url).toBe(created.url);
  });

  test.each(['summary', 'text'] as const)(
    'accept a %s up to the limit of GitHub',
    async (field) => {
      const fits = 'é'.repeat(Math.floor(CHECK_BUDGET / 2));
      expect(await connect().create(commit, { ...content, [field]: fits })).toMatchObject({
        outcome: 'created',
      });
      await expect(connect().create(commit, { ...content, [field]: `${fits}é` })).rejects.toThrow(
        `its ${field} has 65536 bytes and GitHub allows 65535`,
      );
    },
  );

  test.each<[string, Parameters<typeof connect>[0], string]>([
    ['without checks: write', { access: 'read' }, 'Resource not accessible by integration'],
    ['of a person', { login: 'alice' }, 'You must authenticate via a GitHub App.'],
  ])('return forbidden for a token %s', async (_case, token, reason) => {
    const forged = github.checkAs('github-actions', { sha: commit, name });
    const outcome = { outcome: 'forbidden', reason: expect.stringContaining(reason) };
    expect(await connect(token).create(commit, content)).toEqual(outcome);
    expect(await connect(token).update(Number(forged.id), content)).toEqual(outcome);
  });

  test('return forbidden for a check run of another app', async () => {
    const { id } = github.checkAs('other-app', { sha: commit, name, text: 'theirs' });
    expect(await connect().update(Number(id), content)).toMatchObject({
      outcome: 'forbidden',
      reason: expect.stringMatching(/can only be modified by the GitHub App that created it/),
    });
    expect(github.listCheckRuns(commit)[0]?.output.text).toBe('theirs');
  });

  test('throw the errors of GitHub', async () => {
    await expect(connect().create('0'.repeat(40), content)).rejects.toMatchObject({ status: 422 });
    expect(waits).toEqual([1, 2, 4, 8]);
    github.failNext({ path: /check-runs/, status: 422, body: { message: 'Validation Failed' } });
    await expect(connect().create(commit, content)).rejects.toThrow('Validation Failed');
    expect(waits).toHaveLength(4);
  });

  test('retry while GitHub does not know a pushed commit', async () => {
    github.failNext({ path: /\/check-runs$/, times: 2, kind: 'unknown-commit' });
    expect(await connect().create(commit, content)).toMatchObject({ outcome: 'created' });
    github.failNext({ path: /\/check-runs$/, kind: 'unknown-commit' });
    expect(await findTexts()).toEqual(['record']);
    expect(waits).toEqual([1, 2, 1]);
  });
});

describe('Checks.find', () => {
  test('returns all check runs of the name, newest first', async () => {
    for (const text of ['one', 'two', 'three'])
      await connect().create(commit, { ...content, text });
    await connect().create(commit, { ...content, name: 'postgres / apply', text: 'another' });
    expect(await findTexts()).toEqual(['three', 'two', 'one']);
    expect(await connect({ access: 'read' }).find({ commit, name })).toMatchObject({
      checks: [{ externalId: 'a/1', conclusion: 'success', status: 'completed' }, {}, {}],
    });
  });

  test('returns check runs that GitHub put into the suite of another workflow', async () => {
    github.startWorkflow(commit, { job: 'build' });
    // A job can have the same name.
    github.startWorkflow(commit, { job: name });
    for (const text of ['one', 'two']) await connect().create(commit, { ...content, text });
    expect(await findTexts()).toEqual(['two', 'one', null]);
    const found = await connect().find({ commit, name });
    expect(found).toMatchObject({ checks: [{ externalId: 'a/1' }, {}, { externalId: null }] });
  });

  test('finds a check run behind pages of others', async () => {
    await connect().create(commit, content);
    for (let index = 0; index < 230; index++) github.checkAs('noise', { sha: commit, name });
    expect(await findTexts()).toEqual(['record']);
  });

  test.each(['other-app', 'github-actions-2', 'github-actions[bot]', 'alice'])(
    'ignores a check run forged by the app %s',
    async (app) => {
      await connect().create(commit, content);
      github.checkAs(app, { sha: commit, name, text: 'forged' });
      expect(await findTexts()).toEqual(['record']);
      // Also for a person whose login is the app's name.
      expect(await findTexts(connect({ login: 'alice' }))).toEqual([]);
    },
  );

  test('returns to another app only its own check runs', async () => {
    await connect().create(commit, content);
    await connect({ login: 'our-app[bot]' }).create(commit, { ...content, text: 'ours' });
    expect(await findTexts(connect({ login: 'our-app[bot]' }))).toEqual(['ours']);
  });

  test('ignores check runs of another commit', async () => {
    await connect().create(commit, content);
    const other = github.push().payload.after;
    expect(await connect().find({ commit: other, name })).toEqual({ outcome: 'found', checks: [] });
  });

  test('returns forbidden if the token may not read', async () => {
    const token = github.createToken({ permissions: { pull_requests: 'write' } });
    const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 1 });
    expect(await new Checks(client, repository).find({ commit, name })).toMatchObject({
      outcome: 'forbidden',
    });
  });
});
