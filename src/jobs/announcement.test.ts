import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient } from '../github/client.ts';
import { StickyComment } from '../github/sticky-comment.ts';
import { Announcement } from './announcement.ts';

let github: GitHub;
let number: number;
let folder: string;
let log: string[];
beforeEach(async () => {
  github = await startGitHub();
  number = github.openPullRequest({ branch: 'more', title: 'More' }).payload.number;
  folder = mkdtempSync(join(tmpdir(), 'announcement-'));
  writeFileSync(join(folder, 'output'), '');
  vi.stubEnv('GITHUB_OUTPUT', join(folder, 'output'));
  log = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    log.push(String(text));
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
  await github.stop();
});

/** Renders a report that is its own text. */
const RENDERERS = { body: (text: string) => text };

const bodies = () => github.listComments(number).map(({ body = '' }) => body);

function announce({ id = 20, shared = false, access = 'write' as 'read' | 'write' } = {}) {
  const token = github.createToken({ permissions: { pull_requests: access } });
  return new Announcement({
    client: createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 5 }),
    comment: {
      repository: { owner: 'acme', repo: 'database' },
      number,
      identity: 'orders/1',
      run: { id, attempt: 1 },
      shared,
    },
    redact: (text) => text.replaceAll('secret', '***'),
  });
}

describe.each([false, true])('shared: %s', (shared) => {
  test('publishes the report without secrets and sets the outputs', async () => {
    await announce({ shared }).publish('the secret plan', RENDERERS);
    expect(bodies()).toEqual([expect.stringContaining('the *** plan')]);
    const [{ id, html_url } = { id: 0, html_url: '' }] = github.listComments(number);
    const outputs = readFileSync(join(folder, 'output'), 'utf8');
    expect(outputs).toContain(String(id));
    expect(outputs).toContain(html_url);
    expect(log).toEqual([]);
  });

  test('leaves the comment of a later run, and logs that once', async () => {
    await announce({ id: 21, shared }).publish('theirs', RENDERERS);
    const announcement = announce({ shared });
    const before = bodies();
    await announcement.publish('mine', RENDERERS);
    await announcement.publish('mine again', RENDERERS);
    expect(bodies()).toEqual(before);
    expect(log.join('')).toBe(
      'The comment is left as it is: run 21, which began later, has written it.\n',
    );
  });

  test('finishes only its own report', async () => {
    await announce({ id: 19, shared }).publish('planned', RENDERERS);
    await announce({ shared }).finish('cancelled', RENDERERS);
    expect(bodies().join()).toContain('planned');
    expect(log.join('')).toBe('The comment is left as it is: it is of run 19.\n');
    await announce({ shared }).publish('applying', RENDERERS);
    await announce({ shared }).finish('cancelled', RENDERERS);
    expect(bodies().join()).toContain('cancelled');
  });
});

test('publishes the short form, without secrets, if the report does not fit', async () => {
  await announce({ shared: true }).publish('a secret', {
    body: (text) => text + 'x'.repeat(70_000),
    short: (text) => `${text}, in short`,
  });
  expect(bodies().join()).toContain('a ***, in short');
  expect(log.join('')).toMatch(/no room for the whole report/);
});

test('warns once, and never fails, if the token may not comment', async () => {
  const announcement = announce({ access: 'read' });
  await announcement.publish('one', RENDERERS);
  await announcement.publish('two', RENDERERS);
  expect(log.join('').match(/::warning::github-token: may not comment here/g)).toHaveLength(1);
});

test('warns of an update that is refused only with the last report', async () => {
  const announcement = announce({ access: 'read' });
  announcement.show('one', RENDERERS);
  await vi.waitFor(() => expect(github.journal.some(({ status }) => status === 403)).toBe(true));
  expect(log.join('')).toBe('');
  await announcement.publish('two', RENDERERS);
  expect(log.join('').match(/::warning::github-token: may not comment here/g)).toHaveLength(1);
});

test('warns once if another job of the run keeps changing the comment', async () => {
  vi.spyOn(StickyComment.prototype, 'write').mockResolvedValue({ outcome: 'contended' });
  const announcement = announce();
  await announcement.publish('one', RENDERERS);
  await announcement.publish('two', RENDERERS);
  expect(announcement.undelivered).toBeNull();
  expect(log).toEqual([
    '::warning::The comment is left as it is: another job of this run, or something that edits comments, keeps changing it. Let only one job of a run plan or deploy a cluster. The job summary has the whole report.\n',
  ]);
});

test('warns and continues if GitHub fails', async () => {
  github.failNext({ path: /comments/, status: 422, times: 9, body: { message: 'Spam' } });
  await announce().publish('one', RENDERERS);
  expect(log.join('')).toMatch(/^::warning::The comment could not be written \(Spam/);
});

test('keeps the latest report, without secrets, until GitHub accepts it', async () => {
  const announcement = announce();
  github.failNext({ path: /comments/, status: 422 });
  await announcement.publish('the secret plan', { ...RENDERERS, short: () => 'secret' });
  expect(announcement.undelivered).toEqual({ body: 'the *** plan', short: '***' });
  await announcement.publish('done', RENDERERS);
  expect(announcement.undelivered).toBeNull();
});

test('a job summary that cannot be written is a warning', async () => {
  vi.stubEnv('GITHUB_STEP_SUMMARY', join(folder, 'missing', 'summary'));
  await announce().summarize('report', (text) => text);
  expect(log.join('')).toMatch(/^::warning::The job summary could not be written \(/);
});
