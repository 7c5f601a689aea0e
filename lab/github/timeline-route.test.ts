import { getOctokit } from '@actions/github';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GitHub, startGitHub } from './github.ts';
import type { Access, Permission } from './state.ts';

let github: GitHub;
let number: number;
beforeEach(async () => {
  github = await startGitHub();
  ({ number } = github.openPullRequest({ branch: 'b', title: 't', commits: 2 }).payload);
});
afterEach(() => github.stop());

function connect(permissions: Partial<Record<Permission, Access>>, login?: string) {
  const token = github.createToken({ permissions, ...(login === undefined ? {} : { login }) });
  const { rest } = getOctokit(token, { baseUrl: github.urls.api, request: { retries: 0 } });
  const target = { owner: 'acme', repo: 'database', issue_number: number };
  return {
    list: (page: { per_page?: number; page?: number } = {}) =>
      rest.issues.listEventsForTimeline({ ...target, ...page }),
    add: (labels: string[]) => rest.issues.addLabels({ ...target, labels }),
    remove: (name: string) => rest.issues.removeLabel({ ...target, name }),
  };
}

test('lists commits, comments and labels, oldest first, with who did it', async () => {
  github.commentAs('bob', number, 'hello');
  const carol = connect({ pull_requests: 'write', issues: 'write' }, 'carol');
  await carol.add(['one', 'two']);
  await carol.add(['ONE']);
  await carol.remove('two');
  const { data } = await connect({ pull_requests: 'read' }).list();
  expect(
    data.map((one) => [
      one.event,
      'actor' in one ? one.actor.login : null,
      'label' in one ? one.label.name : null,
    ]),
  ).toEqual([
    ['committed', null, null],
    ['committed', null, null],
    ['commented', 'bob', null],
    ['labeled', 'carol', 'one'],
    ['labeled', 'carol', 'two'],
    ['unlabeled', 'carol', 'two'],
  ]);
});

test('cuts the list into pages', async () => {
  for (let index = 0; index < 30; index++) github.commentAs('bob', number, `${index}`);
  const { list } = connect({ pull_requests: 'read' });
  const first = await list();
  expect([first.data.length, first.headers.link]).toEqual([
    30,
    expect.stringMatching(/page=2>; rel="next"/),
  ]);
  const second = await list({ page: 2 });
  expect([second.data.length, second.headers.link]).toEqual([2, expect.not.stringMatching('next')]);
  expect((await list({ per_page: 100 })).headers.link).toBeUndefined();
});

test('needs the permission of the pull request', async () => {
  await expect(connect({ issues: 'write' }).list()).rejects.toMatchObject({ status: 403 });
});
