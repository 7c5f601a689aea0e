import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from './client.ts';
import { renderMarker, StickyComment } from './sticky-comment.ts';

const repository = { owner: 'acme', repo: 'database' };
const identity = 'postgres-1a2b3c4d';
const marker = renderMarker(identity);

let github: GitHub;
let number: number;
beforeEach(async () => {
  github = await startGitHub();
  number = github.openPullRequest({ branch: 'more', title: 'More' }).payload.number;
});
afterEach(() => github.stop());

/** A job of its own: another process would share no client either. */
function createJob(options: { access?: 'read' | 'write'; identity?: string; login?: string } = {}) {
  const token = github.createToken({
    permissions: { pull_requests: options.access ?? 'write' },
    ...(options.login === undefined ? {} : { login: options.login }),
  });
  const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 5 });
  return new StickyComment(client, {
    repository,
    number,
    identity: options.identity ?? identity,
  });
}

const bodies = () => github.listComments(number).map(({ body }) => body);
const writes = () => github.journal.filter(({ method }) => /PATCH|DELETE/.test(method)).length;

describe('write', () => {
  it('creates one comment, then updates it in place', async () => {
    const first = await createJob().write('planned');
    const second = await createJob().write('applying');
    expect(first).toMatchObject({ outcome: 'created' });
    expect(second).toEqual({ ...first, outcome: 'updated' });
    expect(bodies()).toEqual([`${marker}\napplying`]);
    expect(github.listComments(number)[0]).toMatchObject({ id: 'id' in first ? first.id : 0 });
  });

  it('leaves GitHub alone when nothing is new', async () => {
    await createJob().write('planned\n');
    expect(await createJob().write('planned\n')).toMatchObject({ outcome: 'unchanged' });
    expect(writes()).toBe(0);
  });

  it('reads the comments once for several writes of one job', async () => {
    const job = createJob();
    await job.write('planning');
    const before = github.journal.filter(({ method }) => method === 'GET').length;
    await job.write('planned');
    expect(await job.write('planned')).toMatchObject({ outcome: 'unchanged' });
    expect(github.journal.filter(({ method }) => method === 'GET')).toHaveLength(before);
  });

  it('creates it again when somebody deleted it in between', async () => {
    const job = createJob();
    const first = await job.write('planning');
    if (first.outcome === 'forbidden') throw new Error(first.reason);
    const client = createClient({
      token: github.createToken({ permissions: { pull_requests: 'write' } }),
      apiUrl: github.urls.api,
      log: () => {},
    });
    await client.request('DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}', {
      ...repository,
      comment_id: first.id,
    });
    expect(await job.write('planned')).toMatchObject({ outcome: 'created' });
    expect(bodies()).toEqual([`${marker}\nplanned`]);
  }, 15_000);

  it('finds it behind several pages of talk', async () => {
    const first = await createJob().write('planned');
    const issue = number;
    number = github.openPullRequest({ branch: 'other', title: 'Other' }).payload.number;
    for (let index = 0; index < 230; index++) github.commentAs('bob', number, `note ${index}`);
    await createJob().write('planned');
    expect(await createJob().write('applied')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toHaveLength(231);
    number = issue;
    expect(first).toMatchObject({ outcome: 'created' });
    expect(bodies()).toEqual([`${marker}\nplanned`]);
  });

  it('keeps a comment per cluster', async () => {
    await createJob().write('one');
    await createJob({ identity: 'orders-99887766' }).write('two');
    await createJob().write('one again');
    expect(bodies()).toEqual([`${marker}\none again`, `${renderMarker('orders-99887766')}\ntwo`]);
  });

  it.each(['mallory', 'other-app[bot]'])('never edits a marker forged by %s', async (author) => {
    github.commentAs(author, number, `${marker}\nall is well`);
    expect(await createJob().write('planned')).toMatchObject({ outcome: 'created' });
    await createJob().write('applied');
    expect(bodies()).toEqual([`${marker}\nall is well`, `${marker}\napplied`]);
  });

  it('does not take a quotation of the marker for the comment', async () => {
    github.commentAs('github-actions[bot]', number, `> ${marker}\nsomething else`);
    expect(await createJob().write('planned')).toMatchObject({ outcome: 'created' });
  });

  it('works for a person’s token too', async () => {
    await createJob({ login: 'alice' }).write('one');
    expect(await createJob({ login: 'alice' }).write('two')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([`${marker}\ntwo`]);
  });

  it('ends with one comment, the oldest, when several were left', async () => {
    const oldest = github.commentAs('github-actions[bot]', number, `${marker}\nfirst`);
    github.commentAs('github-actions[bot]', number, `${marker}\nsecond`);
    github.commentAs('github-actions[bot]', number, `${marker}\nthird`);
    expect(await createJob().write('now')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([`${marker}\nnow`]);
    expect(github.listComments(number)[0]?.id).toBe(oldest.id);
  }, 15_000);

  it('ends with one comment when two jobs create it at the same time', async () => {
    await Promise.all([createJob().write('a'), createJob().write('b')]);
    await createJob().write('c');
    expect(bodies()).toEqual([`${marker}\nc`]);
  }, 15_000);

  it('ends with one comment when the answer to its creation is lost', async () => {
    github.failNext({ method: 'POST', path: /comments$/, kind: 'lose-answer' });
    await createJob().write('planned');
    expect(bodies()).toEqual([`${marker}\nplanned`]);
  }, 15_000);

  it('says that the token may not comment, rather than failing', async () => {
    expect(await createJob({ access: 'read' }).write('planned')).toEqual({
      outcome: 'forbidden',
      reason: expect.stringContaining('Resource not accessible by integration'),
    });
    expect(bodies()).toEqual([]);
  });

  it('fails when GitHub does', async () => {
    github.failNext({ method: 'POST', path: /comments$/, kind: 'server-error', times: 99 });
    await expect(createJob().write('planned')).rejects.toMatchObject({ status: 500 });
  });
});

describe('renderMarker', () => {
  it.each(['', 'a b', 'x-->', '<!--', 'a\nb'])('refuses %j', (bad) => {
    expect(() => renderMarker(bad)).toThrow(/cannot be hidden/);
  });
});
