import { makeForbidden } from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import { readText } from './route.ts';
import { giveFullRepository, giveUser } from './shape.ts';

// A workflow's token is an installation's: it has no user behind it.
function getUser(call: Call): Answer {
  if (call.login.endsWith('[bot]')) throw makeForbidden(call.login, 'user=read');
  return { body: giveUser(call.world, call.login) };
}

// Names of the operation, spaces and commas carry no meaning in GraphQL.
const viewerLogin = /^(?:query(?:\s+\w+)?)?\{viewer\{login\}\}$/;

/**
 * The one GraphQL query that an action needs: a workflow's token can learn its own login no other
 * way. GraphQL answers 200 for errors as well.
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
  return { body: giveFullRepository(call.world) };
}

/** The repository and the question who is asking. */
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
