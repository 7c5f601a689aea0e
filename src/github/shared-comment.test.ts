import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { Checks } from './check.ts';
import { createClient, type GitHubClient } from './client.ts';
import { renderMarker } from './marker.ts';
import type { Run } from './run-stamp.ts';
import { renderSection } from './section.ts';
import { recordSection } from './section-record.ts';
import { type CommentTiming, StickyComment } from './sticky-comment.ts';

const repository = { owner: 'acme', repo: 'database' };
const timing: CommentTiming = { freshMs: 10_000, settleMs: 600 };
const now: Run = { id: 20, attempt: 1 };

let github: GitHub;
let number: number;
let commit: string;
beforeEach(async () => {
  github = await startGitHub({ latency: 60 });
  const { payload } = github.openPullRequest({ branch: 'more', title: 'More' });
  ({ number } = payload);
  commit = payload.pull_request.head.sha;
});
afterEach(() => github.stop());

const createToken = () =>
  github.createToken({ permissions: { pull_requests: 'write', checks: 'write' } });
const connect = () =>
  createClient({ token: createToken(), apiUrl: github.urls.api, log: () => {}, second: 5 });
const refer = (identity: string, { run = now, shared = true } = {}) => ({
  ...{ repository, number, identity, run, shared, commit },
});

/** Creates a job for one cluster, with a client of its own. */
function createJob(identity: string, options: { run?: Run; shared?: boolean } = {}) {
  return new StickyComment(connect(), refer(identity, options), { timing });
}

/** Returns the clusters and the texts of their sections, in order. */
function readSections(body: string): [string, string][] {
  const section =
    /begin: (\S+) -->\n<!-- \S+ run: \S+ -->\n(?:<!-- \S+ state: final -->\n)?([\s\S]*?)\n\n<!-- \S+ end: \1 -->/g;
  return [...body.matchAll(section)].map(([, identity = '', text = '']) => [identity, text]);
}

async function record(client: GitHubClient, name: string, body: string): Promise<void> {
  await new Checks(client, repository).create(commit, {
    name: `PostgreSQL plan: ${name}`,
    title: 'planned',
    summary: recordSection(body, { number, identity: name, run: now }) ?? '',
    status: 'completed',
    conclusion: 'success',
  });
}

const bodies = () => github.listComments(number).map(({ body = '' }) => body);
const sections = () => bodies().map(readSections);

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

  test('has the report of a job that others, each recorded and not yet there, keep waiting', async () => {
    await createJob('stock/3').write('there');
    const client = connect();
    await record(client, 'orders/1', 'planned');
    let others = 0;
    client.hook.after('request', async (_response, { method }) => {
      if (method === 'PATCH') await record(connect(), `other/${++others}`, 'on its way');
    });
    const options = { timing: { ...timing, settleMs: 40 } };
    const job = new StickyComment(client, refer('orders/1'), options);
    expect(await job.write('planned')).toMatchObject({ outcome: 'updated' });
    expect(others).toBe(6);
    expect(sections()[0]).toContainEqual(['orders/1', 'planned']);
  }, 15_000);

  test('returns forbidden if the token may not comment', async () => {
    await createJob('orders/1').write('one');
    const token = github.createToken({ permissions: { pull_requests: 'read' } });
    const client = createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 5 });
    const ref = { repository, number, identity: 'billing/2', run: now, shared: true };
    const job = new StickyComment(client, ref, { timing });
    expect(await job.write('two')).toMatchObject({ outcome: 'forbidden' });
  });
});

describe.each([12, 20])('%s jobs at once', (size) => {
  const names = Array.from({ length: size }, (_, index) => `cluster-${index + 10}/0123`);
  const countWrites = () =>
    github.journal.filter(({ method, path }) => /POST|PATCH/.test(method) && path !== '/graphql')
      .length;
  const refusals = () => github.journal.filter(({ status }) => status === 403 || status === 429);

  /** Runs a job: it shows its plan in progress, records its last report in a check run, and writes it. */
  async function runJob(name: string, { within }: { within: number }): Promise<void> {
    const client = connect();
    const job = new StickyComment(client, refer(name), { timing });
    await sleep(Math.random() * within);
    // An update that GitHub refuses is left out.
    await job.update(`${name} is planned`).catch(() => {});
    await sleep(Math.random() * within);
    await record(client, name, `${name}: done`);
    await job.write(`${name}: done`);
  }

  test('write one comment with every section, in at most four writes each', async () => {
    await Promise.all(names.map((name) => runJob(name, { within: 3_000 })));
    expect(sections()).toEqual([names.map((name) => [name, `${name}: done`])]);
    expect(refusals()).toEqual([]);
    expect(countWrites()).toBeLessThanOrEqual(4 * size);
  }, 60_000);

  test('replace the sections of an earlier commit, in at most four writes each', async () => {
    const earlier = { run: { id: 19, attempt: 1 } };
    const old = names.map((name) => ({ identity: name, ...earlier, isFinal: true, body: 'old' }));
    github.commentAs(
      'github-actions[bot]',
      number,
      [renderMarker('shared'), ...old.map(renderSection)].join('\n\n'),
    );
    await Promise.all(names.map((name) => runJob(name, { within: 5_000 })));
    expect(sections()).toEqual([names.map((name) => [name, `${name}: done`])]);
    expect(refusals()).toEqual([]);
    expect(countWrites()).toBeLessThanOrEqual(4 * size);
  }, 60_000);

  test('write every section although one of them is killed and GitHub refuses some writes', async () => {
    await Promise.all([
      ...names.map((name) => runJob(name, { within: 3_000 })),
      killJob('dead/0'),
      sleep(1_500).then(() =>
        github.failNext({
          method: 'PATCH',
          path: /comments/,
          kind: 'secondary-limit',
          retryAfterSeconds: 1,
          times: 3,
        }),
      ),
    ]);
    const [found = []] = sections();
    expect(found.filter(([name]) => name !== 'dead/0')).toEqual(
      names.map((name) => [name, `${name}: done`]),
    );
    expect(bodies()).toHaveLength(1);
  }, 60_000);

  /** Kills a job in a process of its own while it writes. */
  async function killJob(name: string): Promise<void> {
    const client = { token: createToken(), apiUrl: github.urls.api, second: 5 };
    const program = `
      import { createClient } from ${JSON.stringify(new URL('client.ts', import.meta.url).href)};
      import { StickyComment } from ${JSON.stringify(new URL('sticky-comment.ts', import.meta.url).href)};
      const client = createClient({ ...${JSON.stringify(client)}, log: () => {} });
      const job = new StickyComment(client, ${JSON.stringify(refer(name))});
      console.log('writes');
      for (let turn = 0; ; turn++) await job.update('turn ' + turn);`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await once(child.stdout, 'data');
    expect(String(said)).toBe('writes\n');
    await sleep(Math.random() * 1_000);
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});
