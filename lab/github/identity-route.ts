import { makeForbidden } from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import { readText } from './route.ts';
import { buildFullRepository, buildUser } from './shape.ts';

// A workflow's token belongs to an installation: it has no user.
function getUser(call: Call): Answer {
  if (call.login.endsWith('[bot]')) throw makeForbidden(call.login, 'user=read');
  return { body: buildUser(call.world, call.login) };
}

// The operation's name, spaces and commas have no meaning in GraphQL.
const viewerLogin = /^(?:query(?:\s+\w+)?)?\{viewer\{login\}\}$/;

/**
 * The one GraphQL query that an action needs: a workflow's token has no other way to learn its own
 * login. GraphQL answers 200 also for errors.
 */
function runQuery(call: Call): Answer {
  const query = readText(call.body, 'query');
  const compact = query.trim().replace(/\s*([{}])\s*/g, '$1');
  if (viewerLogin.test(compact)) return { body: { data: { viewer: { login: call.login } } } };
  return {
    body: {
      errors: [
        {
          type: 'undefinedField',
          message: 'The lab answers `query { viewer { login } }` only; extend lab/github for more.',
        },
      ],
    },
  };
}

function getRepository(call: Call): Answer {
  return { body: buildFullRepository(call.world) };
}

/** Routes for the repository and for the identity of a token. */
export const identityRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: '/repos/:owner/:repo',
    documentation: 'repos/repos#get-a-repository',
    run: getRepository,
  },
  {
    method: 'GET',
    pattern: '/user',
    documentation: 'users/users#get-the-authenticated-user',
    run: getUser,
  },
  { method: 'POST', pattern: '/graphql', documentation: 'graphql', run: runQuery },
];
