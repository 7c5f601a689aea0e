import { checkPermission, makeInvalid } from './problem.ts';
import type { Call } from './route.ts';

/** The maximum length of a comment or a description, in characters. */
export const bodyLimit = 65_536;

/**
 * Refuses a text that GitHub would refuse; characters are code points, not UTF-16 units.
 * @throws Problem 422 with GitHub's message
 */
export function checkBody(text: string, resource: 'IssueComment' | 'Issue'): void {
  // GitHub's wording also differs between the two resources.
  const comment = resource === 'IssueComment';
  const error = {
    resource,
    code: comment ? 'unprocessable' : 'custom',
    field: comment ? 'data' : 'body',
  };
  if (comment && text.trim() === '') {
    throw makeInvalid([{ ...error, message: "Body can't be blank" }]);
  }
  if ([...text].length > bodyLimit) {
    const subject = comment ? 'Body' : 'body';
    throw makeInvalid([
      { ...error, message: `${subject} is too long (maximum is ${bodyLimit} characters)` },
    ]);
  }
}

/**
 * Comments and labels of a pull request need `pull-requests`, those of an issue `issues`. GitHub's
 * header names both, but `issues: write` alone is refused on a pull request.
 * @throws Problem 403 with GitHub's message
 */
export function checkConversation(call: Call, number: number, access: 'read' | 'write'): void {
  checkPermission(
    { state: call.world.state, token: call.token },
    {
      permission: call.world.state.pulls[number] === undefined ? 'issues' : 'pull_requests',
      access,
      advertised: `issues=${access}; pull_requests=${access}`,
    },
  );
}
