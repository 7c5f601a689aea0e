import { afterEach, expect, test } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { type Answer, type FakeApi, startFakeApi } from './fixtures/fake-api.ts';
import { mayWrite } from './permission.ts';

const repository = { owner: 'acme', repo: 'database' };

let api: FakeApi;
afterEach(() => api.stop());

async function ask(answer: Answer, login = 'alice') {
  api = await startFakeApi({
    [`collaborators/${encodeURIComponent(login)}/permission`]: [answer],
  });
  return mayWrite(api.client, { repository, login });
}

test.each<[string, Answer, boolean]>([
  ['an admin', { permission: 'admin', role_name: 'admin' }, true],
  ['a maintainer', { permission: 'write', role_name: 'maintain' }, true],
  ['a writer', { permission: 'write', role_name: 'write' }, true],
  ['a custom role with write access', { permission: 'write', role_name: 'operator' }, true],
  ['a triager', { permission: 'read', role_name: 'triage' }, false],
  ['a reader, or anyone in a public repository', { permission: 'read' }, false],
  ['a custom role named admin with read access', { permission: 'read', role_name: 'admin' }, false],
  ['nobody', { permission: 'none' }, false],
  ['an unknown response', {}, false],
  ['an app', [404, 'Copilot is not a user'], false],
])('%s', async (_, answer, expected) => {
  expect(await ask(answer)).toBe(expected);
});

test('encodes any login in the request', async () => {
  expect(await ask({ permission: 'write' }, 'x/../alice[bot]')).toBe(true);
  expect(api.asked).toEqual(['collaborators/x%2F..%2Falice%5Bbot%5D/permission']);
});

test('names the missing permission of the token', async () => {
  const error = await ask([403, 'Must have push access']).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  expect(error.message).toMatch(/github-token: .* alice .*Must have push access.*metadata: read/);
});

test('throws other errors unchanged', async () => {
  await expect(ask([401, 'Bad credentials'])).rejects.toMatchObject({ status: 401 });
});
