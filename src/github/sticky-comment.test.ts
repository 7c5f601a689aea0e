import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from './client.ts';
import type { LeaseTiming } from './lease.ts';
import { renderMarker } from './marker.ts';
import { type Run, renderStamp } from './run-stamp.ts';
import { type CommentOutcome, StickyComment } from './sticky-comment.ts';

const repository = { owner: 'acme', repo: 'database' };
const identity = 'postgres-1a2b3c4d';
const marker = renderMarker(identity);
const now: Run = { id: 20, attempt: 1 };
const timing: LeaseTiming = { expiryMs: 2000, pollMs: 10, timeoutMs: 10_000 };
/** The comment as it stands on GitHub. */
const show = (body: string, { run = now, of = identity }: { run?: Run; of?: string } = {}) =>
  `${renderMarker(of)}\n${renderStamp(run)}\n${body}`;

let github: GitHub;
let number: number;
beforeEach(async () => {
  github = await startGitHub();
  number = github.openPullRequest({ branch: 'more', title: 'More' }).payload.number;
});
afterEach(() => github.stop());

/** A job of its own: another process would share no client either. */
function createJob(
  options: { access?: 'read' | 'write'; identity?: string; login?: string; run?: Run } = {},
) {
  const token = github.createToken({
    permissions: { pull_requests: options.access ?? 'write' },
    ...(options.login === undefined ? {} : { login: options.login }),
  });
  const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 5 });
  const place = {
    repository,
    number,
    identity: options.identity ?? identity,
    run: options.run ?? now,
    shared: false,
  };
  return new StickyComment(client, place, { timing });
}

const firstComment = () => Number(github.listComments(number)[0]?.id);
const bodies = () => github.listComments(number).map(({ body }) => body);
const writes = () => github.journal.filter(({ method }) => /PATCH|DELETE/.test(method)).length;

describe('write', () => {
  it('creates one comment, then updates it in place', async () => {
    const first = await createJob().write('planned');
    const second = await createJob().write('applying');
    expect(first).toMatchObject({ outcome: 'created' });
    expect(second).toEqual({ ...first, outcome: 'updated' });
    expect(bodies()).toEqual([show('applying')]);
    expect(github.listComments(number)[0]).toMatchObject({ id: 'id' in first ? first.id : 0 });
  });

  it('leaves GitHub alone when nothing is new', async () => {
    await createJob().write('planned\n');
    expect(await createJob().write('planned\n')).toMatchObject({ outcome: 'unchanged' });
    expect(writes()).toBe(0);
  });

  it('lists the comments twice to create one, and never again for further writes of the job', async () => {
    const job = createJob();
    await job.write('planning');
    await job.write('planned');
    const before = github.journal.length;
    expect(await job.write('planned')).toMatchObject({ outcome: 'unchanged' });
    expect(github.journal).toHaveLength(before);
    const lists = github.journal.filter(
      ({ method, path }) => method === 'GET' && /\/issues\/\d+\/comments$/.test(path),
    );
    expect(lists).toHaveLength(2);
  });

  it('holds the comment while it writes, and lets go of it', async () => {
    const job = createJob();
    await job.write('planning');
    github.journal.splice(0);
    await job.write('planned');
    expect(github.journal.map(({ method, status }) => [method, status])).toEqual([
      ['POST', 201],
      ['GET', 200],
      ['PATCH', 200],
      ['GET', 200],
      ['DELETE', 204],
    ]);
    expect(github.listReactions(firstComment())).toEqual([]);
  });

  it('creates it again when somebody deleted it in between', async () => {
    const job = createJob();
    const first = await job.write('planning');
    if (!('id' in first)) throw new Error(first.outcome);
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
    expect(bodies()).toEqual([show('planned')]);
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
    expect(bodies()).toEqual([show('planned')]);
  });

  it('keeps a comment per cluster', async () => {
    await createJob().write('one');
    await createJob({ identity: 'orders-99887766' }).write('two');
    await createJob().write('one again');
    expect(bodies()).toEqual([show('one again'), show('two', { of: 'orders-99887766' })]);
  });

  it.each(['mallory', 'other-app[bot]'])('never edits a marker forged by %s', async (author) => {
    github.commentAs(author, number, `${marker}\nall is well`);
    expect(await createJob().write('planned')).toMatchObject({ outcome: 'created' });
    await createJob().write('applied');
    expect(bodies()).toEqual([`${marker}\nall is well`, show('applied')]);
  });

  it('does not take a quotation of the marker for the comment', async () => {
    github.commentAs('github-actions[bot]', number, `> ${marker}\nsomething else`);
    expect(await createJob().write('planned')).toMatchObject({ outcome: 'created' });
  });

  it('works for a person’s token too', async () => {
    await createJob({ login: 'alice' }).write('one');
    expect(await createJob({ login: 'alice' }).write('two')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('two')]);
  });

  it('ends with one comment, the oldest, when several were left', async () => {
    const oldest = github.commentAs('github-actions[bot]', number, `${marker}\nfirst`);
    github.commentAs('github-actions[bot]', number, `${marker}\nsecond`);
    github.commentAs('github-actions[bot]', number, `${marker}\nthird`);
    expect(await createJob().write('now')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('now')]);
    expect(github.listComments(number)[0]?.id).toBe(oldest.id);
  }, 15_000);

  it('ends with one comment when two jobs create it at the same time', async () => {
    await Promise.all([createJob().write('a'), createJob().write('b')]);
    await createJob().write('c');
    expect(bodies()).toEqual([show('c')]);
  }, 15_000);

  it('ends with one comment when the answer to its creation is lost', async () => {
    github.failNext({ method: 'POST', path: /comments$/, kind: 'lose-answer' });
    await createJob().write('planned');
    expect(bodies()).toEqual([show('planned')]);
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

describe('the order of runs', () => {
  const earlier: Run = { id: 19, attempt: 3 };
  const later: Run = { id: 20, attempt: 2 };

  it.each<[string, Run]>([
    ['a later run', { id: 21, attempt: 1 }],
    ['a later attempt', later],
  ])('leaves what %s wrote', async (_who, run) => {
    await createJob({ run }).write('theirs');
    const before = github.journal.length;
    expect(await createJob().write('mine')).toEqual({ outcome: 'superseded', by: run.id });
    expect(bodies()).toEqual([show('theirs', { run })]);
    expect(github.journal.slice(before).filter(({ method }) => method === 'PATCH')).toEqual([]);
  });

  it.each<[string, Run]>([
    ['an earlier run', earlier],
    ['the run itself', now],
  ])('replaces what %s wrote', async (_who, run) => {
    await createJob({ run }).write('theirs');
    expect(await createJob().write('mine')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('mine')]);
  });

  it('notices a later run between two of its own writes', async () => {
    const job = createJob();
    await job.write('applying');
    await createJob({ run: later }).write('theirs');
    expect(await job.write('done')).toEqual({ outcome: 'superseded', by: later.id });
    expect(bodies()).toEqual([show('theirs', { run: later })]);
  });

  it('replaces what the previous release wrote, which has no stamp', async () => {
    github.commentAs('github-actions[bot]', number, `${marker}\nplanned`);
    expect(await createJob().write('mine')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('mine')]);
  });

  it('ends with the later run, however both came to write at once', async () => {
    const runs = Array.from({ length: 6 }, (_, index) => ({ id: 30 + index, attempt: 1 }));
    await Promise.all(runs.toReversed().map((run) => createJob({ run }).write(`run ${run.id}`)));
    expect(bodies()).toEqual([show('run 35', { run: { id: 35, attempt: 1 } })]);
  }, 30_000);

  it('removes its own of two comments when the other is of a later run', async () => {
    const oldest = show('theirs', { run: later });
    github.commentAs('github-actions[bot]', number, oldest);
    github.commentAs('github-actions[bot]', number, show('mine'));
    expect(await createJob().write('mine again')).toMatchObject({ outcome: 'superseded' });
    expect(bodies()).toEqual([oldest]);
  });
});

describe('finish', () => {
  const tell = async (outcome: Promise<CommentOutcome>) => (await outcome).outcome;

  it('ends what the run was saying', async () => {
    await createJob().write('applying');
    expect(await tell(createJob().replaceOwn('cancelled'))).toBe('updated');
    expect(bodies()).toEqual([show('cancelled')]);
  });

  it('says nothing where the run had not spoken', async () => {
    expect(await createJob().replaceOwn('cancelled')).toEqual({ outcome: 'foreign', by: null });
    expect(bodies()).toEqual([]);
  });

  it('leaves the words of an earlier run, and of a later one', async () => {
    await createJob({ run: { id: 19, attempt: 1 } }).write('planned');
    expect(await createJob().replaceOwn('cancelled')).toEqual({ outcome: 'foreign', by: 19 });
    await createJob({ run: { id: 21, attempt: 1 } }).write('planning');
    expect(await createJob().replaceOwn('cancelled')).toEqual({ outcome: 'superseded', by: 21 });
    expect(bodies()).toEqual([show('planning', { run: { id: 21, attempt: 1 } })]);
  });
});

describe('faults while the comment is held', () => {
  it.each([
    ['GitHub fails', { kind: 'server-error', times: 2 }],
    ['the connection is cut', { kind: 'drop' }],
    ['the answer is lost', { kind: 'lose-answer' }],
    ['a secondary limit is met', { kind: 'secondary-limit', retryAfterSeconds: 1 }],
  ] as const)(
    '%s: it is written all the same',
    async (_case, effect) => {
      const job = createJob();
      await job.write('planning');
      github.failNext({ method: 'PATCH', path: /comments\/\d+$/, ...effect });
      expect(['updated', 'unchanged']).toContain((await job.write('planned')).outcome);
      expect(bodies()).toEqual([show('planned')]);
      expect(github.listReactions(firstComment())).toEqual([]);
    },
    15_000,
  );

  it('gives up when GitHub fails for good, or asks for more patience than a job has', async () => {
    const job = createJob();
    await job.write('planning');
    const path = /comments\/\d+$/;
    github.failNext({ method: 'PATCH', path, kind: 'server-error', times: 99 });
    await expect(job.write('planned')).rejects.toMatchObject({ status: 500 });
    github.clearFaults();
    github.failNext({ method: 'PATCH', path, kind: 'secondary-limit', retryAfterSeconds: 600 });
    await expect(job.write('planned')).rejects.toMatchObject({ status: 403 });
    expect(github.listReactions(firstComment())).toEqual([]);
  }, 15_000);

  it('waits for a job that died holding it only until that lease has expired', async () => {
    await createJob().write('planning');
    github.reactAs('github-actions[bot]', firstComment());
    const started = performance.now();
    expect(await createJob().write('planned')).toMatchObject({ outcome: 'updated' });
    expect(performance.now() - started).toBeGreaterThan(1000);
    expect(performance.now() - started).toBeLessThan(6000);
  }, 15_000);

  it('takes eyes of a person for no lease', async () => {
    await createJob().write('planning');
    github.reactAs('alice', firstComment());
    expect(await createJob().write('planned')).toMatchObject({ outcome: 'updated' });
    expect(github.listReactions(firstComment())).toHaveLength(1);
  });
});

describe('renderMarker', () => {
  it.each(['', 'a b', 'x-->', '<!--', 'a\nb'])('refuses %j', (bad) => {
    expect(() => renderMarker(bad)).toThrow(/cannot be hidden/);
  });
});
