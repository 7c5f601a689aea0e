import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from './client.ts';
import { renderMarker } from './marker.ts';
import { type Run, renderStamp } from './run-stamp.ts';
import {
  type CommentOutcome,
  type CommentRef,
  type CommentTiming,
  StickyComment,
} from './sticky-comment.ts';

const repository = { owner: 'acme', repo: 'database' };
const identity = 'postgres-1a2b3c4d';
const marker = renderMarker(identity);
const now: Run = { id: 20, attempt: 1 };
const timing: CommentTiming = { freshMs: 10_000, settleMs: 40 };
/** Returns the comment as GitHub stores it. */
const show = (body: string, { run = now, of = identity }: { run?: Run; of?: string } = {}) =>
  `${renderMarker(of)}\n${renderStamp(run)}\n${body}`;

let github: GitHub;
let number: number;
beforeEach(async () => {
  github = await startGitHub();
  number = github.openPullRequest({ branch: 'more', title: 'More' }).payload.number;
});
afterEach(() => github.stop());

function connect({ access = 'write', login }: { access?: 'read' | 'write'; login?: string } = {}) {
  const token = github.createToken({
    permissions: { pull_requests: access },
    ...(login === undefined ? {} : { login }),
  });
  return createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 5 });
}

/** Creates a job with a client of its own, like a separate process. */
function createJob(options: Parameters<typeof connect>[0] & Partial<CommentRef> = {}) {
  const ref = { repository, number, identity, run: now, shared: false, ...options };
  return new StickyComment(connect(options), ref, { timing });
}

/** Creates a job after whose writes another one overwrites the comment, with one text after each. */
function overwriteAfterWrites(left: string[], options: Partial<CommentRef> = {}) {
  const client = connect();
  const other = connect();
  client.hook.after('request', async (_response, { method }) => {
    const body = method === 'PATCH' ? left.shift() : undefined;
    if (body === undefined) return;
    await other.request('PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}', {
      ...repository,
      comment_id: firstComment(),
      body,
    });
  });
  const ref = { repository, number, identity, run: now, shared: false, ...options };
  return { job: new StickyComment(client, ref, { timing }), left };
}

const firstComment = () => Number(github.listComments(number)[0]?.id);
const bodies = () => github.listComments(number).map(({ body }) => body);
const calls = (before: number) =>
  github.journal
    .slice(before)
    .filter(({ path }) => path !== '/graphql')
    .map(({ method }) => method);
const writes = () => github.journal.filter(({ method }) => /PATCH|DELETE/.test(method)).length;

describe('StickyComment.write', () => {
  test('creates one comment, then updates it in place', async () => {
    const first = await createJob().write('planned');
    const second = await createJob().write('applying');
    expect(first).toMatchObject({ outcome: 'created' });
    expect(second).toEqual({ ...first, outcome: 'updated' });
    expect(bodies()).toEqual([show('applying')]);
    expect(github.listComments(number)[0]).toMatchObject({ id: 'id' in first ? first.id : 0 });
  });

  test('sends nothing if the text is unchanged', async () => {
    await createJob().write('planned\n');
    expect(await createJob().write('planned\n')).toMatchObject({ outcome: 'unchanged' });
    expect(writes()).toBe(0);
  });

  test('is two calls if the run wrote before and nobody else did: a look and a write', async () => {
    const job = createJob();
    await job.update('planning');
    const before = github.journal.length;
    await job.write('planned');
    expect(calls(before)).toEqual(['GET', 'PATCH']);
    expect(bodies()).toEqual([show('planned')]);
  });

  test('looks again after the first write of a run', async () => {
    await createJob({ run: { id: 19, attempt: 1 } }).write('theirs');
    const before = github.journal.length;
    await createJob().write('mine');
    expect(calls(before)).toEqual(['GET', 'PATCH', 'GET']);
  });

  test('writes again what an earlier run overwrites', async () => {
    await createJob({ run: { id: 19, attempt: 1 } }).write('theirs');
    const overwrites = overwriteAfterWrites([show('theirs', { run: { id: 19, attempt: 1 } })]);
    expect(await overwrites.job.write('done')).toMatchObject({ outcome: 'updated' });
    expect(overwrites.left).toEqual([]);
    expect(bodies()).toEqual([show('done')]);
  });

  test.each([
    ['a comment', false],
    ['a section of a shared comment', true],
  ])('leaves %s to another job of the same run that keeps writing it', async (_case, shared) => {
    await createJob({ shared }).write('theirs');
    const theirs = String(bodies()[0]);
    const overwrites = overwriteAfterWrites(Array(6).fill(theirs), { shared });
    expect(await overwrites.job.write('mine')).toEqual({ outcome: 'contended' });
    expect(overwrites.left).toEqual([]);
    expect(bodies()).toEqual([theirs]);
  });

  test('does not take its own report in progress, which others write back, for that of another job', async () => {
    await createJob({ shared: true, identity: 'billing-55667788' }).write('theirs');
    await createJob({ shared: true, run: { id: 19, attempt: 1 } }).write('before');
    const overwrites = overwriteAfterWrites([], { shared: true });
    await overwrites.job.update('planning');
    const progress = String(bodies()[0]);
    expect(progress).toContain('planning');
    overwrites.left.push(...Array(6).fill(progress));
    await expect(overwrites.job.write('mine')).rejects.toThrow('does not keep what is written');
    expect(overwrites.left).toEqual([]);
  });

  test('fails if an earlier run keeps overwriting it', async () => {
    const theirs = show('theirs', { run: { id: 19, attempt: 1 } });
    github.commentAs('github-actions[bot]', number, theirs);
    const overwrites = overwriteAfterWrites(Array(6).fill(theirs));
    await expect(overwrites.job.write('mine')).rejects.toThrow(
      `Comment ${firstComment()} does not keep what is written to it.`,
    );
  });

  test('creates a deleted comment again', async () => {
    const job = createJob();
    const first = await job.write('planning');
    if (!('id' in first)) throw new Error(first.outcome);
    await connect().request('DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}', {
      ...repository,
      comment_id: first.id,
    });
    expect(await job.write('planned')).toMatchObject({ outcome: 'created' });
    expect(bodies()).toEqual([show('planned')]);
  }, 15_000);

  test('finds the comment behind several pages of others', async () => {
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

  test('keeps one comment per cluster', async () => {
    await createJob().write('one');
    await createJob({ identity: 'orders-99887766' }).write('two');
    await createJob().write('one again');
    expect(bodies()).toEqual([show('one again'), show('two', { of: 'orders-99887766' })]);
  });

  test.each(['mallory', 'other-app[bot]'])('ignores a marker forged by %s', async (author) => {
    github.commentAs(author, number, `${marker}\nall is well`);
    expect(await createJob().write('planned')).toMatchObject({ outcome: 'created' });
    await createJob().write('applied');
    expect(bodies()).toEqual([`${marker}\nall is well`, show('applied')]);
  });

  test('ignores a quotation of the marker', async () => {
    github.commentAs('github-actions[bot]', number, `> ${marker}\nsomething else`);
    expect(await createJob().write('planned')).toMatchObject({ outcome: 'created' });
  });

  test('works with the token of a person', async () => {
    await createJob({ login: 'alice' }).write('one');
    expect(await createJob({ login: 'alice' }).write('two')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('two')]);
  });

  test('merges several comments into the oldest', async () => {
    const oldest = github.commentAs('github-actions[bot]', number, `${marker}\nfirst`);
    github.commentAs('github-actions[bot]', number, `${marker}\nsecond`);
    github.commentAs('github-actions[bot]', number, `${marker}\nthird`);
    expect(await createJob().write('now')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('now')]);
    expect(github.listComments(number)[0]?.id).toBe(oldest.id);
  }, 15_000);

  test('leaves one comment if two jobs create it at the same time', async () => {
    await Promise.all([createJob().write('a'), createJob().write('b')]);
    await createJob().write('c');
    expect(bodies()).toEqual([show('c')]);
  }, 15_000);

  test('leaves one comment if the response to its creation is lost', async () => {
    github.failNext({ method: 'POST', path: /comments$/, kind: 'lose-answer' });
    await createJob().write('planned');
    expect(bodies()).toEqual([show('planned')]);
  }, 15_000);

  test('returns forbidden if the token may not comment', async () => {
    expect(await createJob({ access: 'read' }).write('planned')).toEqual({
      outcome: 'forbidden',
      reason: expect.stringContaining('Resource not accessible by integration'),
    });
    expect(bodies()).toEqual([]);
  });

  test('throws the errors of GitHub', async () => {
    github.failNext({ method: 'POST', path: /comments$/, kind: 'server-error', times: 99 });
    await expect(createJob().write('planned')).rejects.toMatchObject({ status: 500 });
  });
});

describe('StickyComment.update', () => {
  test('is one call after the first', async () => {
    const job = createJob();
    await job.update('planning');
    for (const phase of ['applying', 'configuring']) {
      const before = github.journal.length;
      expect(await job.update(phase)).toMatchObject({ outcome: 'updated' });
      expect(calls(before)).toEqual(['PATCH']);
      expect(bodies()).toEqual([show(phase)]);
    }
  });

  test('looks first once its last look is old, and leaves the text of a later run', async () => {
    const ref = { repository, number, identity, run: now, shared: false };
    const job = new StickyComment(connect(), ref, { timing: { ...timing, freshMs: 0 } });
    await job.update('planning');
    await createJob({ run: { id: 21, attempt: 1 } }).write('theirs');
    expect(await job.update('applying')).toEqual({ outcome: 'superseded', by: 21 });
    expect(bodies()).toEqual([show('theirs', { run: { id: 21, attempt: 1 } })]);
  });

  test('neither tries again nor waits if GitHub refuses', async () => {
    const job = createJob();
    await job.update('planning');
    github.failNext({ path: /comments/, kind: 'secondary-limit', retryAfterSeconds: 60 });
    const before = github.journal.length;
    await expect(job.update('applying')).rejects.toMatchObject({ status: 403 });
    expect(calls(before)).toEqual(['PATCH']);
    expect(await job.update('configuring')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('configuring')]);
  });

  test('leaves one comment if two jobs create it at the same time', async () => {
    await Promise.all([createJob().update('a'), createJob().update('b')]);
    expect(bodies()).toHaveLength(1);
  });
});

describe('the order of runs', () => {
  const earlier: Run = { id: 19, attempt: 3 };
  const later: Run = { id: 20, attempt: 2 };

  test.each<[string, Run]>([
    ['a later run', { id: 21, attempt: 1 }],
    ['a later attempt', later],
  ])('keeps the text of %s', async (_case, run) => {
    await createJob({ run }).write('theirs');
    const before = github.journal.length;
    expect(await createJob().write('mine')).toEqual({ outcome: 'superseded', by: run.id });
    expect(bodies()).toEqual([show('theirs', { run })]);
    expect(github.journal.slice(before).filter(({ method }) => method === 'PATCH')).toEqual([]);
  });

  test.each<[string, Run]>([
    ['an earlier run', earlier],
    ['the same run', now],
  ])('replaces the text of %s', async (_case, run) => {
    await createJob({ run }).write('theirs');
    expect(await createJob().write('mine')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('mine')]);
  });

  test('notices a later run between two writes', async () => {
    const job = createJob();
    await job.write('applying');
    await createJob({ run: later }).write('theirs');
    expect(await job.write('done')).toEqual({ outcome: 'superseded', by: later.id });
    expect(bodies()).toEqual([show('theirs', { run: later })]);
  });

  test('replaces a text without a stamp, of the previous release', async () => {
    github.commentAs('github-actions[bot]', number, `${marker}\nplanned`);
    expect(await createJob().write('mine')).toMatchObject({ outcome: 'updated' });
    expect(bodies()).toEqual([show('mine')]);
  });

  test('ends with the text of the latest of concurrent runs', async () => {
    const runs = Array.from({ length: 6 }, (_, index) => ({ id: 30 + index, attempt: 1 }));
    await Promise.all(runs.toReversed().map((run) => createJob({ run }).write(`run ${run.id}`)));
    expect(bodies()).toEqual([show('run 35', { run: { id: 35, attempt: 1 } })]);
  }, 30_000);

  test('ends with the text of the latest of concurrent runs that all began earlier', async () => {
    await github.stop();
    github = await startGitHub({ latency: 10 });
    number = github.openPullRequest({ branch: 'more', title: 'More' }).payload.number;
    const runs = Array.from({ length: 6 }, (_, index) => ({ id: 30 + index, attempt: 1 }));
    await createJob().write('before');
    await Promise.all(
      runs.map(async (run) => {
        const job = createJob({ run });
        await job.update(`run ${run.id} begins`);
        await job.write(`run ${run.id}`);
      }),
    );
    expect(bodies()).toEqual([show('run 35', { run: { id: 35, attempt: 1 } })]);
  }, 30_000);

  test('removes its own comment if a later run has one', async () => {
    const oldest = show('theirs', { run: later });
    github.commentAs('github-actions[bot]', number, oldest);
    github.commentAs('github-actions[bot]', number, show('mine'));
    expect(await createJob().write('mine again')).toMatchObject({ outcome: 'superseded' });
    expect(bodies()).toEqual([oldest]);
  });
});

describe('StickyComment.replaceOwn', () => {
  const tell = async (outcome: Promise<CommentOutcome>) => (await outcome).outcome;

  test('replaces a text of the same run', async () => {
    await createJob().write('applying');
    expect(await tell(createJob().replaceOwn('cancelled'))).toBe('updated');
    expect(bodies()).toEqual([show('cancelled')]);
  });

  test('writes nothing without a text of the run', async () => {
    expect(await createJob().replaceOwn('cancelled')).toEqual({ outcome: 'foreign', by: null });
    expect(bodies()).toEqual([]);
  });

  test('keeps the texts of earlier and later runs', async () => {
    await createJob({ run: { id: 19, attempt: 1 } }).write('planned');
    expect(await createJob().replaceOwn('cancelled')).toEqual({ outcome: 'foreign', by: 19 });
    await createJob({ run: { id: 21, attempt: 1 } }).write('planning');
    expect(await createJob().replaceOwn('cancelled')).toEqual({ outcome: 'superseded', by: 21 });
    expect(bodies()).toEqual([show('planning', { run: { id: 21, attempt: 1 } })]);
  });
});

describe('faults during a write', () => {
  test.each([
    ['GitHub fails', { kind: 'server-error', times: 2 }],
    ['the connection is dropped', { kind: 'drop' }],
    ['the response is lost', { kind: 'lose-answer' }],
    ['a secondary limit is reached', { kind: 'secondary-limit', retryAfterSeconds: 1 }],
  ] as const)(
    '%s: the write succeeds',
    async (_case, effect) => {
      const job = createJob();
      await job.write('planning');
      github.failNext({ method: 'PATCH', path: /comments\/\d+$/, ...effect });
      expect(['updated', 'unchanged']).toContain((await job.write('planned')).outcome);
      expect(bodies()).toEqual([show('planned')]);
    },
    15_000,
  );

  test('throws if GitHub keeps failing or asks for too long a wait', async () => {
    const job = createJob();
    await job.write('planning');
    const path = /comments\/\d+$/;
    github.failNext({ method: 'PATCH', path, kind: 'server-error', times: 99 });
    await expect(job.write('planned')).rejects.toMatchObject({ status: 500 });
    github.clearFaults();
    github.failNext({ method: 'PATCH', path, kind: 'secondary-limit', retryAfterSeconds: 600 });
    await expect(job.write('planned')).rejects.toMatchObject({ status: 403 });
  }, 15_000);
});
