import { Problem } from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import type { Schemas } from './shape.ts';
import { buildUser } from './shape.ts';
import type { Role, State } from './state.ts';

/** Roles from the fewest to the most permissions. */
const ladder: readonly Role[] = ['none', 'read', 'triage', 'write', 'maintain', 'admin'];

/** Returns an account's permission. Everyone can read a public repository; an app is not a user. */
function findRole(state: State, login: string): Role {
  if (login.endsWith('[bot]')) return 'gone';
  if (login.toLowerCase() === state.owner.toLowerCase()) return 'admin';
  const key = login.toLowerCase();
  const role = (Object.hasOwn(state.roles, key) && state.roles[key]) || 'none';
  return role === 'none' && !state.private ? 'read' : role;
}

/**
 * Answers a request for an account's permission. A workflow's token needs only metadata, which every token can
 * read; a person needs push access.
 * Sources: docs.github.com, REST API, collaborators (`maintain` counts as write, `triage` as read);
 * yegor256/rultor#1407 for the 403; its 404 ("is not a user") is for apps and unused logins.
 */
function getPermission(call: Call): Answer {
  const { world } = call;
  const { state } = world;
  const can = (role: Role, wanted: Role) => ladder.indexOf(role) >= ladder.indexOf(wanted);
  if (!call.login.endsWith('[bot]') && !can(findRole(state, call.login), 'write'))
    throw new Problem(403, 'Must have push access to view collaborator permission.');
  const login = call.params.username ?? '';
  const role = findRole(state, login);
  if (role === 'gone') throw new Problem(404, `${login} is not a user`);
  const body: Schemas['repository-collaborator-permission'] = {
    permission: role === 'maintain' ? 'write' : role === 'triage' ? 'read' : role,
    role_name: role,
    user: {
      ...buildUser(world, login),
      permissions: {
        admin: can(role, 'admin'),
        maintain: can(role, 'maintain'),
        push: can(role, 'write'),
        triage: can(role, 'triage'),
        pull: can(role, 'read'),
      },
      role_name: role,
    },
  };
  return { body };
}

/** The route that returns a user's permission. */
export const collaboratorRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: '/repos/:owner/:repo/collaborators/:username/permission',
    documentation: 'collaborators/collaborators#get-repository-permissions-for-a-user',
    run: getPermission,
  },
];
