import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from './client.ts';
import type { LeaseTiming } from './lease.ts';
import { renderMarker } from './marker.ts';
import type { Run } from './run-stamp.ts';
import { StickyComment } from './sticky-comment.ts';

const repository = { owner: 'acme', repo: 'database' };
const timing: LeaseTiming = { expiryMs: 3000, pollMs: 20, timeoutMs: 60_000 };
const now: Run = { id: 20, attempt: 1 };

let github: GitHub;
let number: number;
beforeEach(async () => {
  github = await startGitHub({ latency: 15 });
  number = github.openPullRequest({ branch: 'more', title: 'More' }).payload.number;
});
afterEach(() => github.stop());

const createToken = () => github.createToken({ permissions: { pull_requests: 'write' } });

/** Creates a job for one cluster, with a client of its own. */
function createJob(identity: string, { run = now, shared = true } = {}) {
  const client = createClient({
    token: createToken(),
    apiUrl: github.urls.api,
    log: () => {},
    second: 5,
  });
  return new StickyComment(client, { repository, number, identity, run, shared }, { timing });
}

/** Returns the clusters and the texts of their sections, in order. */
function readSections(body: string): [string, string][] {
  const section = /begin: (\S+) -->\n<!-- \S+ run: \S+ -->\n([\s\S]*?)\n\n<!-- \S+ end: \1 -->/g;
  return [...body.matchAll(section)].map(([, identity = '', text = '']) => [identity, text]);
}

const bodies = () => github.listComments(number).map(({ body = '' }) => body);
const sections = () => bodies().map(readSections);
const reactions = () =>
  github.listComments(number).flatMap(({ id }) => github.listReactions(Number(id)));

describe('a shared comment', () => {
  test('has a section per cluster', async () => {
    expect(await createJob('orders/1').write('planned')).toMatchObject({ outcome: 'created' });
    expect(await createJob('billing/2').write('planned too')).toMatchObject({
      outcome: 'updated',
      shortened: false,
    });
    await createJob('orders/1').write('applied');
    expect(sections()).toEqual([
      [
        ['billing/2', 'planned too'],
        ['orders/1', 'applied'],
      ],
    ]);
  });

  test('leaves other comments alone, those of single clusters included', async () => {
    const marker = renderMarker('shared');
    github.commentAs('mallory', number, `${marker}\n\nforged`);
    await createJob('orders/1', { shared: false }).write('alone');
    await createJob('orders/1').write('together');
    await createJob('orders/1').write('together again');
    expect(bodies()).toHaveLength(3);
    expect(bodies()[0]).toBe(`${marker}\n\nforged`);
    expect(bodies()[1]).toMatch(/\nalone$/);
    expect(sections()[2]).toEqual([['orders/1', 'together again']]);
  });

  test('keeps the order of runs for each section', async () => {
    await createJob('orders/1', { run: { id: 30, attempt: 1 } }).write('later');
    await createJob('billing/2', { run: { id: 10, attempt: 1 } }).write('earlier');
    expect(await createJob('orders/1').write('mine')).toEqual({ outcome: 'superseded', by: 30 });
    expect(await createJob('billing/2').replaceOwn('cancelled')).toEqual({
      outcome: 'foreign',
      by: 10,
    });
    expect(await createJob('billing/2').write('mine')).toMatchObject({ outcome: 'updated' });
    expect(sections()).toEqual([
      [
        ['billing/2', 'mine'],
        ['orders/1', 'later'],
      ],
    ]);
  });

  test('shortens reports that do not fit', async () => {
    await createJob('orders/1').write('x'.repeat(48_000));
    expect(
      await createJob('billing/2').write('y'.repeat(48_000), { short: 'short' }),
    ).toMatchObject({ outcome: 'updated', shortened: true });
    expect(sections()[0]?.[0]).toEqual(['billing/2', 'short']);
  });

  test('merges several comments into one', async () => {
    await createJob('orders/1').write('one');
    await createJob('billing/2').write('two');
    const [first = ''] = bodies();
    github.commentAs('github-actions[bot]', number, first.replace('\ntwo\n', '\nnew\n'));
    await createJob('stock/3').write('three');
    expect(sections()).toEqual([
      [
        ['billing/2', 'new'],
        ['orders/1', 'one'],
        ['stock/3', 'three'],
      ],
    ]);
  });

  test('returns forbidden if the token may not comment', async () => {
    await createJob('orders/1').write('one');
    const token = github.createToken({ permissions: { pull_requests: 'read' } });
    const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 5 });
    const ref = { repository, number, identity: 'billing/2', run: now, shared: true };
    const job = new StickyComment(client, ref, { timing });
    expect(await job.write('two')).toMatchObject({ outcome: 'forbidden' });
  });
});

describe('many jobs at once', () => {
  const names = Array.from({ length: 8 }, (_, index) => `cluster-${index}/0123`);

  test('create the comment: one remains, with every section', async () => {
    await Promise.all(names.map((name) => createJob(name).write(`first of ${name}`)));
    expect(sections()).toEqual([names.map((name) => [name, `first of ${name}`])]);
    expect(reactions()).toEqual([]);
  }, 60_000);

  test('write five times each while another job dies with the lease: no section is lost', async () => {
    await createJob('before/0').write('was there before');
    const [{ id } = { id: 0 }] = github.listComments(number);
    const victim = holdInChild(Number(id));
    const started = performance.now();
    await Promise.all([
      ...names.map(async (name) => {
        const job = createJob(name);
        for (let turn = 1; turn <= 5; turn++) {
          await sleep(Math.random() * 200);
          const { outcome } = await job.write(`${name}: ${turn}`);
          expect(outcome).toBe('updated');
        }
      }),
      victim,
    ]);
    expect(sections()).toEqual([
      [['before/0', 'was there before'], ...names.map((name) => [name, `${name}: 5`])],
    ]);
    expect(reactions()).toEqual([]);
    expect(performance.now() - started).toBeLessThan(45_000);

    // No section was lost in between: a text stays until its cluster writes a newer one.
    let known = new Map<string, number>();
    for (const { body } of github.journal.filter(({ method }) => method === 'PATCH')) {
      const texts = readSections((body as { body: string }).body);
      const turns = new Map(texts.map(([name, text]) => [name, Number(text.split(': ')[1] ?? 0)]));
      for (const [name, turn] of known) expect(turns.get(name)).toBeGreaterThanOrEqual(turn);
      known = turns;
    }
    expect(known.size).toBe(9);
  }, 90_000);

  /** Takes the lease in a process of its own and kills it. */
  async function holdInChild(comment: number): Promise<void> {
    const leased = { repository, commentId: comment, timing };
    const client = { token: createToken(), apiUrl: github.urls.api, second: 5 };
    const program = `
      import { createClient } from ${JSON.stringify(new URL('client.ts', import.meta.url).href)};
      import { holdLease } from ${JSON.stringify(new URL('lease.ts', import.meta.url).href)};
      const client = createClient({ ...${JSON.stringify(client)}, log: () => {} });
      await holdLease(client, ${JSON.stringify(leased)}, async () => {
        console.log('held');
        await new Promise((resolve) => setTimeout(resolve, 600_000));
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await once(child.stdout, 'data');
    expect(String(said)).toBe('held\n');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(reactions()).toHaveLength(1);
  }
});
