import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import type { Access, Permission } from '../../lab/github/state.ts';
import { createClient } from '../github/client.ts';
import { EffectLabels } from './effect-labels.ts';

const writers = { pull_requests: 'write', issues: 'write' } as const;
let github: GitHub;
let number: number;
let log: string[];
beforeEach(async () => {
  github = await startGitHub();
  number = github.openPullRequest({ branch: 'more', title: 'More' }).payload.number;
  log = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    log.push(String(text));
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await github.stop();
});

function connect(permissions: Partial<Record<Permission, Access>> = writers) {
  const token = github.createToken({ permissions });
  return createClient({ token, apiUrl: github.urls.api, log: () => {}, second: 5 });
}

const pullRequest = () => ({ repository: { owner: 'acme', repo: 'database' }, number });
const label = ({ client = connect(), prefix = 'db/' as string | null } = {}) =>
  new EffectLabels({ client, pullRequest: pullRequest(), prefix });
const list = () =>
  github
    .listIssues()
    .flatMap(({ labels }) => labels)
    .map((one) => (typeof one === 'string' ? one : one.name));

describe('effect labels', () => {
  test('show the present effects only', async () => {
    await label().show(['destroy', 'restart']);
    expect(list()).toEqual(['db/destroy', 'db/restart']);
    await label().show(['restart', 'switchover']);
    expect(list()).toEqual(['db/restart', 'db/switchover']);
    await label().show([]);
    expect(list()).toEqual([]);
    expect(log).toEqual([]);
  });

  test('leave other labels, whatever their prefix', async () => {
    for (const name of ['allow-destroy', 'db/keep', 'DB/Refused']) github.label(number, name);
    await label().show(['no-changes']);
    expect(list()).toEqual(['allow-destroy', 'db/keep', 'db/no-changes']);
    await label({ prefix: 'orders ' }).show(['restart']);
    expect(list()).toContain('db/no-changes');
    expect(list()).toContain('orders restart');
  });

  test('are not written again if they are right', async () => {
    await label().show(['restart']);
    const before = github.journal.length;
    await label().show(['restart']);
    expect(github.journal.slice(before).map(({ method }) => method)).toEqual(['GET']);
  });

  test('are not touched without a prefix or a pull request', async () => {
    await label({ prefix: null }).show(['restart']);
    await new EffectLabels({ client: connect(), pullRequest: null, prefix: 'db/' }).show([
      'restart',
    ]);
    expect(github.journal).toEqual([]);
  });

  test('name missing labels that the token may not create, and set the others', async () => {
    for (const name of ['db/restart', 'db/switchover']) {
      github.label(number, name);
      github.unlabel(number, name);
    }
    github.label(number, 'db/no-changes');
    const client = connect({ pull_requests: 'write' });
    await label({ client }).show(['destroy', 'switchover', 'restart']);
    expect(list()).toEqual(['db/switchover', 'db/restart']);
    expect(log.join('')).toBe(
      '::warning::label-prefix: the repository has no label "db/destroy", and the token may not create labels. Create it once (Issues, Labels), or give the job the permission issues: write.\n',
    );
  });

  test('never fail the job', async () => {
    await label({ client: connect({ pull_requests: 'read' }) }).show(['restart']);
    expect(log.join('')).toContain('::warning::label-prefix: the token may not set labels here');
    github.failNext({ path: /labels/, kind: 'server-error', times: 10 });
    await label().show(['restart']);
    expect(log.join('')).toContain('The labels could not be set');
    expect(list()).toEqual([]);
  });
});
