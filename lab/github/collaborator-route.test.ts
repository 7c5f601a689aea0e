import { getOctokit } from '@actions/github';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GitHub } from './github.ts';
import { startGitHub } from './github.ts';
import type { Role } from './state.ts';

let github: GitHub;

beforeEach(async () => {
  github = await startGitHub();
});

afterEach(() => github.stop());

describe('the permission of a user', () => {
  const ask = async (username: string, login?: string) => {
    const token = github.createToken({ ...(login === undefined ? {} : { login }) });
    const { rest } = getOctokit(token, { baseUrl: github.urls.api });
    const place = { owner: 'acme', repo: 'database', username };
    return (await rest.repos.getCollaboratorPermissionLevel(place)).data;
  };

  test.each<[Role, string, boolean, boolean]>([
    ['admin', 'admin', true, true],
    ['maintain', 'write', true, true],
    ['write', 'write', true, true],
    ['triage', 'read', false, true],
    ['read', 'read', false, false],
    ['none', 'none', false, false],
  ])('with the role %s is %s', async (role, permission, push, triage) => {
    github.setRole('Tina', role);
    expect(await ask('tina')).toMatchObject({
      permission,
      role_name: role,
      user: { login: 'tina', role_name: role, permissions: { push, triage } },
    });
  });

  test('is admin for the owner without a role, and read for everyone in a public repository', async () => {
    expect(await ask('acme')).toMatchObject({ permission: 'admin', role_name: 'admin' });
    expect(await ask('mallory')).toMatchObject({ permission: 'none' });
    const open = await startGitHub({ private: false });
    try {
      const { rest } = getOctokit(open.createToken(), { baseUrl: open.urls.api });
      const place = { owner: 'acme', repo: 'database', username: 'mallory' };
      const { data } = await rest.repos.getCollaboratorPermissionLevel(place);
      expect(data).toMatchObject({ permission: 'read', role_name: 'read' });
    } finally {
      await open.stop();
    }
  });

  test.each(['github-actions[bot]', 'dependabot[bot]', 'ghost'])(
    '%s is not a user',
    async (login) => {
      github.setRole('ghost', 'gone');
      await expect(ask(login)).rejects.toMatchObject({
        status: 404,
        response: { data: { message: `${login} is not a user` } },
      });
    },
  );

  test('is shown only to people with push access', async () => {
    await expect(ask('acme', 'mallory')).rejects.toMatchObject({
      status: 403,
      response: { data: { message: 'Must have push access to view collaborator permission.' } },
    });
    github.setRole('carol', 'write');
    expect(await ask('acme', 'carol')).toMatchObject({ permission: 'admin' });
  });
});
