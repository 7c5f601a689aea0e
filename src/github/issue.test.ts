import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from './client.ts';
import {
  closeIssue,
  hasOpenIssue,
  type IssueRef,
  remarkIssue,
  renderIssueMarker,
  reportIssue,
} from './issue.ts';

const repository = { owner: 'acme', repo: 'database' };
const issue: IssueRef = { repository, topic: 'drift', identity: 'postgres/1a2b3c4d' };
const marker = renderIssueMarker(issue);

let github: GitHub;
beforeEach(async () => {
  github = await startGitHub();
});
afterEach(() => github.stop());

function connect({ access = 'write', login }: { access?: 'read' | 'write'; login?: string } = {}) {
  const token = github.createToken({
    permissions: { issues: access },
    ...(login === undefined ? {} : { login }),
  });
  return createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 1 });
}

const report = (body: string, { client = connect(), of = {} as Partial<IssueRef> } = {}) =>
  reportIssue(client, { ...issue, ...of, title: 'Drift in postgres', body });
const close = (client = connect()) =>
  closeIssue(client, { ...issue, comment: 'The drift is gone.' });
const list = () => github.listIssues().map(({ number, state, body }) => ({ number, state, body }));

test('an issue that an earlier release opened is found', () => {
  expect(marker).toBe('<!-- postgres-cluster-action: drift/postgres/1a2b3c4d -->');
});

describe('reportIssue', () => {
  test('opens one issue, then updates it', async () => {
    const first = await report('one setting');
    expect(first).toMatchObject({ outcome: 'created', number: 1 });
    expect(await report('two settings')).toEqual({ ...first, outcome: 'updated' });
    expect(await report('two settings')).toEqual({ ...first, outcome: 'unchanged' });
    expect(list()).toEqual([{ number: 1, state: 'open', body: `${marker}\ntwo settings` }]);
  });

  test('a remark opens an issue, or is a comment on the open one, whose text stays', async () => {
    const remark = (body: string) => remarkIssue(connect(), { ...issue, title: 'Left', body });
    expect(await remark('first')).toMatchObject({ outcome: 'created', number: 1 });
    expect(await remark('second')).toMatchObject({ outcome: 'updated', number: 1 });
    expect(list()).toEqual([{ number: 1, state: 'open', body: `${marker}\nfirst` }]);
    expect(github.listComments(1).map(({ body }) => body)).toEqual(['second']);
    const weak = connect({ access: 'read' });
    expect(await remarkIssue(weak, { ...issue, title: 'Left', body: 'x' })).toMatchObject({
      outcome: 'forbidden',
    });
  });

  test('keeps one issue per cluster', async () => {
    await report('one');
    expect(await report('two', { of: { identity: 'orders/99887766' } })).toMatchObject({
      number: 2,
    });
    expect(await report('three')).toMatchObject({ outcome: 'updated', number: 1 });
  });

  test('keeps one issue per topic', async () => {
    await report('drift');
    const of: Partial<IssueRef> = { topic: 'rehearsal' };
    expect(await report('rehearsal', { of })).toMatchObject({ outcome: 'created', number: 2 });
    expect(await report('drift again')).toMatchObject({ outcome: 'updated', number: 1 });
    expect(await report('rehearsal again', { of })).toMatchObject({ number: 2 });
    await close();
    expect(list().map(({ state, body }) => [state, body?.split('\n').at(-1)])).toEqual([
      ['closed', 'drift again'],
      ['open', 'rehearsal again'],
    ]);
    expect(await hasOpenIssue(connect(), issue)).toBe(false);
    expect(await hasOpenIssue(connect(), { ...issue, ...of })).toBe(true);
  });

  test('finds the issue behind pages of others', async () => {
    await report('one');
    for (let index = 0; index < 130; index++) {
      github.openIssueAs('github-actions[bot]', { title: `Other ${index}`, body: 'other' });
    }
    expect(await report('two')).toMatchObject({ outcome: 'updated', number: 1 });
  });

  test('ignores issues of other authors and pull requests', async () => {
    github.openIssueAs('mallory', { title: 'Mine', body: `${marker}\nforged` });
    github.openPullRequest({
      branch: 'bump',
      title: 'Bump',
      author: 'github-actions[bot]',
      body: `${marker}\npull request`,
    });
    expect(await report('one')).toMatchObject({ outcome: 'created', number: 3 });
    expect(list().map(({ body }) => body)).toEqual([
      `${marker}\nforged`,
      `${marker}\npull request`,
      `${marker}\none`,
    ]);
  });

  test('does not reopen a closed issue', async () => {
    await report('one');
    await close();
    expect(await report('two')).toMatchObject({ outcome: 'created', number: 2 });
    expect(list()[0]).toMatchObject({ state: 'closed', body: `${marker}\none` });
  });

  test('leaves only the oldest issue open if two runs open one at the same time', async () => {
    await Promise.all([report('a'), report('b')]);
    const open = list().filter(({ state }) => state === 'open');
    expect(open.map(({ number }) => number)).toEqual([1]);
    expect(await report('c')).toMatchObject({ number: 1 });
  });

  test('leaves one issue if the response to its creation is lost', async () => {
    github.failNext({ method: 'POST', path: /\/issues$/, kind: 'lose-answer' });
    expect(await report('one')).toMatchObject({ outcome: 'unchanged', number: 1 });
    expect(list().filter(({ state }) => state === 'open')).toHaveLength(1);
  });

  test('returns forbidden without permission and without issues', async () => {
    expect(await report('one', { client: connect({ access: 'read' }) })).toMatchObject({
      outcome: 'forbidden',
      reason: expect.stringContaining('Resource not accessible'),
    });
    github.setIssues(false);
    expect(await report('one')).toMatchObject({
      outcome: 'forbidden',
      reason: expect.stringContaining('Issues has been disabled in this repository.'),
    });
    expect(await close()).toEqual({ outcome: 'none' });
  });

  test('throws the errors of GitHub', async () => {
    github.failNext({ path: /\/issues/, kind: 'server-error', times: 99 });
    await expect(report('one')).rejects.toMatchObject({ status: 500 });
  });
});

describe('hasOpenIssue', () => {
  const isOpen = (client = connect()) => hasOpenIssue(client, issue);

  test('is true from the report to the end of the drift', async () => {
    expect(await isOpen()).toBe(false);
    await report('one');
    expect(await isOpen()).toBe(true);
    await close();
    expect(await isOpen()).toBe(false);
  });

  test('is false where the repository has no issues', async () => {
    await report('one');
    github.setIssues(false);
    expect(await isOpen()).toBe(false);
  });
});

describe('closeIssue', () => {
  test('closes the issue as completed after a last comment', async () => {
    await report('one');
    expect(await close()).toMatchObject({ outcome: 'closed', number: 1 });
    expect(github.listIssues()[0]).toMatchObject({ state: 'closed', state_reason: 'completed' });
    expect(github.listComments(1).map(({ body }) => body)).toEqual(['The drift is gone.']);
    expect(await close()).toEqual({ outcome: 'none' });
    expect(github.listComments(1)).toHaveLength(1);
  });

  test('ignores issues of other authors', async () => {
    github.openIssueAs('mallory', { title: 'Mine', body: `${marker}\nforged` });
    await report('two', { of: { identity: 'orders/99887766' } });
    expect(await close()).toEqual({ outcome: 'none' });
    expect(list().every(({ state }) => state === 'open')).toBe(true);
  });

  test('returns forbidden without permission', async () => {
    await report('one');
    expect(await close(connect({ access: 'read' }))).toMatchObject({ outcome: 'forbidden' });
  });
});
