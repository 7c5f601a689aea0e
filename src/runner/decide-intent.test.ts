import { describe, expect, test } from 'vitest';
import { decideIntent } from './decide-intent.ts';
import type { EventPayload, TriggerEvent } from './event.ts';

const HEAD = 'a'.repeat(40);
const MERGED = 'b'.repeat(40);

function createEvent(
  name: string,
  payload: EventPayload = {},
  ref = 'refs/heads/main',
): TriggerEvent {
  return {
    name,
    payload: { repository: { default_branch: 'main' }, ...payload },
    ref,
    sha: MERGED,
    actor: 'alice',
  };
}

function createPullRequest(
  action: string,
  overrides: Partial<NonNullable<EventPayload['pull_request']>> = {},
  payload: EventPayload = {},
): TriggerEvent {
  return createEvent('pull_request', {
    ...payload,
    action,
    pull_request: {
      number: 7,
      merged: false,
      head: { sha: HEAD, repo: { full_name: 'acme/database' } },
      base: { ref: 'main', repo: { full_name: 'acme/database' } },
      ...overrides,
    },
  });
}

const FORK = { head: { sha: HEAD, repo: { full_name: 'mallory/database' } } };
const LABELED = { label: { name: 'Allow-Plan' }, sender: { login: 'alice' } };

/** The same as `pull_request_target`, which runs on the default branch, from a fork. */
function createTarget(
  action: string,
  overrides: Partial<NonNullable<EventPayload['pull_request']>> = {},
  payload: EventPayload = {},
): TriggerEvent {
  const event = createPullRequest(action, { ...FORK, ...overrides }, payload);
  return { ...event, name: 'pull_request_target' };
}

describe('decideIntent', () => {
  test.each<[string, TriggerEvent, object]>([
    ['opened', createPullRequest('opened'), { kind: 'review', pullRequest: 7, sha: HEAD }],
    [
      'synchronize',
      createPullRequest('synchronize'),
      { kind: 'review', pullRequest: 7, sha: HEAD },
    ],
    ['reopened', createPullRequest('reopened'), { kind: 'review', pullRequest: 7 }],
    ['labeled', createPullRequest('labeled'), { kind: 'review', pullRequest: 7 }],
    [
      'labeled after the merge',
      createPullRequest('labeled', { state: 'closed', merged: true }),
      { kind: 'skip', why: expect.stringContaining('#7 is merged') },
    ],
    [
      'unlabeled after it was closed',
      createPullRequest('unlabeled', { state: 'closed' }),
      { kind: 'skip', why: expect.stringContaining('#7 is closed') },
    ],
    [
      'edited, with another base',
      createPullRequest('edited', {}, { changes: { base: { ref: { from: 'release' } } } }),
      {
        kind: 'review',
        event: 'pull_request',
        base: 'main',
        why: expect.stringContaining('into main'),
      },
    ],
    [
      'edited, with another title',
      createPullRequest('edited', {}, { changes: {} }),
      { kind: 'skip', why: expect.stringContaining('changes no plan') },
    ],
    [
      'assigned',
      createPullRequest('assigned'),
      { kind: 'skip', why: expect.stringContaining('assigned') },
    ],
    [
      'opened from a fork',
      createPullRequest('opened', FORK),
      { kind: 'review', withoutSecrets: 'a pull request from a fork', consent: null },
    ],
    [
      'opened from a fork that was deleted',
      createPullRequest('opened', { head: { sha: HEAD, repo: null } }),
      { kind: 'review', withoutSecrets: 'a pull request from a fork', consent: null },
    ],
    [
      'labeled on a fork (pull_request needs no label)',
      createPullRequest('labeled', FORK, LABELED),
      { kind: 'review', consent: null },
    ],
    [
      'opened by Dependabot',
      { ...createPullRequest('opened'), actor: 'dependabot[bot]' },
      { kind: 'review', withoutSecrets: 'a run that Dependabot triggered' },
    ],
    [
      'opened by Dependabot, pushed to by a person',
      { ...createPullRequest('synchronize', {}), actor: 'bob' },
      { kind: 'review', withoutSecrets: null },
    ],
    [
      'a push by Dependabot',
      { ...createEvent('push'), actor: 'dependabot[bot]' },
      { kind: 'deploy', withoutSecrets: 'a run that Dependabot triggered' },
    ],
    ["a person's push", createEvent('push'), { kind: 'deploy', withoutSecrets: null }],
    ['closed', createPullRequest('closed'), { kind: 'close', pullRequest: 7 }],
    [
      'merged',
      createPullRequest('closed', {
        state: 'closed',
        merged: true,
        merged_at: '2026-11-26T12:00:00Z',
        merge_commit_sha: MERGED,
      }),
      {
        kind: 'deploy',
        pullRequest: 7,
        branch: 'main',
        pushedAt: '2026-11-26T12:00:00Z',
        sha: MERGED,
      },
    ],
    [
      'merged elsewhere',
      createPullRequest('closed', { merged: true, base: { ref: 'next' } }),
      { kind: 'skip', why: expect.stringContaining('merged into next') },
    ],
    [
      'push to main',
      createEvent('push', { repository: { default_branch: 'main', pushed_at: 1_795_694_400 } }),
      {
        kind: 'deploy',
        pullRequest: null,
        branch: 'main',
        pushedAt: '2026-11-26T12:00:00.000Z',
        sha: MERGED,
      },
    ],
    [
      'push with a date instead of seconds',
      createEvent('push', {
        repository: { default_branch: 'main', pushed_at: '2026-11-26T12:00:00Z' },
      }),
      { kind: 'deploy', pushedAt: '2026-11-26T12:00:00.000Z' },
    ],
    ['push without a time', createEvent('push'), { kind: 'deploy', pushedAt: null }],
    [
      'push elsewhere',
      createEvent('push', {}, 'refs/heads/x'),
      { kind: 'skip', why: expect.stringContaining('refs/heads/x') },
    ],
    [
      'a tag with the name of the branch',
      createEvent('push', {}, 'refs/tags/main'),
      { kind: 'skip' },
    ],
    ['branch deleted', createEvent('push', { deleted: true }), { kind: 'skip' }],
    [
      'merge queue',
      createEvent('merge_group', {
        merge_group: {
          head_ref: `refs/heads/gh-readonly-queue/main/pr-7-${HEAD}`,
          base_ref: 'refs/heads/main',
        },
      }),
      { kind: 'review', event: 'merge_group', base: 'main', pullRequest: null, queued: 7 },
    ],
    [
      'a merge queue event without a payload',
      createEvent('merge_group', { merge_group: {} }),
      { kind: 'review', event: 'merge_group', base: null, queued: null },
    ],
    ['schedule', createEvent('schedule'), { kind: 'drift' }],
    [
      'workflow_dispatch',
      createEvent('workflow_dispatch'),
      { kind: 'skip', why: expect.stringContaining('set command') },
    ],
    [
      'pull_request_target without a pull request',
      createEvent('pull_request_target'),
      { kind: 'skip', why: expect.stringContaining('pull_request_target') },
    ],
    [
      'a dispatch named like a property',
      createEvent('repository_dispatch', { action: 'constructor' }),
      { kind: 'skip' },
    ],
    [
      'unknown dispatch',
      createEvent('repository_dispatch', { action: 'deploy' }),
      { kind: 'skip', why: expect.stringContaining('generate-terraform-plan') },
    ],
  ])('%s', (_, event, expected) => {
    expect(decideIntent('auto', event)).toMatchObject(expected);
  });

  const branch = createPullRequest('').payload.pull_request;
  const changedBase = { changes: { base: { ref: { from: 'release' } } } };

  test.each<[string, TriggerEvent, object]>([
    ...['opened', 'synchronize', 'reopened', 'labeled', 'unlabeled'].map(
      (action): [string, TriggerEvent, object] => [
        `${action}, of a branch`,
        createTarget(action, branch, LABELED),
        {
          kind: 'review',
          event: 'pull_request',
          base: 'main',
          pullRequest: 7,
          queued: null,
          withoutSecrets: null,
          consent: null,
          sha: HEAD,
        },
      ],
    ),
    ...['opened', 'synchronize', 'reopened'].map((action): [string, TriggerEvent, object] => [
      `${action}, of a fork`,
      createTarget(action, {}, { sender: { login: 'alice' } }),
      {
        kind: 'await',
        pullRequest: 7,
        sha: HEAD,
        base: 'main',
        why: expect.stringContaining('from a fork'),
      },
    ]),
    [
      'edited, with another base, of a fork',
      createTarget('edited', { base: { ref: 'next' } }, changedBase),
      { kind: 'await', base: 'next' },
    ],
    [
      'edited, with another title, of a fork',
      createTarget('edited', {}, { changes: {} }),
      { kind: 'skip', why: expect.stringContaining('changes no plan') },
    ],
    [
      'labeled, of a fork',
      createTarget('labeled', {}, LABELED),
      {
        kind: 'review',
        event: 'pull_request',
        sha: HEAD,
        withoutSecrets: null,
        consent: { label: 'Allow-Plan', by: 'alice' },
      },
    ],
    [
      'labeled, of a fork that was deleted',
      createTarget('labeled', { head: { sha: HEAD, repo: null } }, LABELED),
      { kind: 'review', consent: { label: 'Allow-Plan', by: 'alice' } },
    ],
    [
      'labeled, without a base repository',
      createTarget('labeled', { head: { sha: HEAD }, base: { ref: 'main' } }, LABELED),
      { kind: 'review', consent: { label: 'Allow-Plan', by: 'alice' } },
    ],
    [
      'labeled, without a sender',
      createTarget('labeled', {}, { ...LABELED, sender: null }),
      { kind: 'skip' },
    ],
    [
      'labeled, without a label',
      createTarget('labeled', {}, { ...LABELED, label: null }),
      { kind: 'skip' },
    ],
    [
      'unlabeled, of a fork',
      createTarget('unlabeled', {}, LABELED),
      { kind: 'skip', why: expect.stringContaining('when a label is set') },
    ],
    [
      'labeled after the merge, of a fork',
      createTarget('labeled', { state: 'closed', merged: true }, LABELED),
      { kind: 'skip', why: expect.stringContaining('#7 is merged') },
    ],
    ['assigned, of a fork', createTarget('assigned'), { kind: 'skip' }],
    ['closed, of a fork', createTarget('closed'), { kind: 'close', pullRequest: 7 }],
    [
      'merged, of a fork',
      createTarget('closed', { merged: true, merge_commit_sha: MERGED }),
      { kind: 'deploy', pullRequest: 7, branch: 'main', sha: MERGED, withoutSecrets: null },
    ],
    [
      'merged elsewhere, of a fork',
      createTarget('closed', { merged: true, base: { ref: 'next' } }),
      { kind: 'skip', why: expect.stringContaining('merged into next') },
    ],
    [
      "Dependabot's, triggered by Dependabot",
      {
        ...createTarget('opened', { ...branch, user: { login: 'dependabot[bot]' } }),
        actor: 'dependabot[bot]',
      },
      { kind: 'review', withoutSecrets: 'a run that Dependabot triggered', consent: null },
    ],
    [
      "Dependabot's, triggered by a person",
      createTarget('synchronize', { ...branch, user: { login: 'dependabot[bot]' } }),
      { kind: 'review', withoutSecrets: null },
    ],
    [
      "a person's, triggered by Dependabot",
      {
        ...createTarget('synchronize', { ...branch, user: { login: 'bob' } }),
        actor: 'dependabot[bot]',
      },
      { kind: 'review', withoutSecrets: null },
    ],
  ])('pull_request_target: %s', (_, event, expected) => {
    expect(decideIntent('auto', event)).toMatchObject(expected);
  });

  test.each<[string, TriggerEvent, string | null]>([
    ['a push', createEvent('push', { before: 'b'.repeat(40) }), 'b'.repeat(40)],
    ['the first push', createEvent('push', { before: '0'.repeat(40) }), null],
    ['a push without the field', createEvent('push'), null],
  ])('%s: the commit before it', (_, event, before) => {
    expect(decideIntent('auto', event)).toMatchObject({ kind: 'deploy', before });
  });

  test('a named command runs on a push to another branch', () => {
    expect(decideIntent('plan', createEvent('push', {}, 'refs/heads/x'))).toMatchObject({
      kind: 'operation',
      operation: 'plan',
    });
  });

  test.each([
    ['generate-terraform', 'generate'],
    ['generate-terraform-plan', 'plan'],
    ['generate-terraform-apply', 'apply'],
    ['apply_ansible_configuration', 'configure'],
  ])('dispatch %s runs %s with its body', (action, operation) => {
    const event = createEvent('repository_dispatch', {
      action,
      client_payload: { replica_count: 2 },
    });
    expect(decideIntent('auto', event)).toMatchObject({
      kind: 'operation',
      operation,
      body: { replica_count: 2 },
    });
  });

  test('a failover starts by dispatch, with its body, or by command', () => {
    const event = createEvent('repository_dispatch', {
      action: 'failover',
      client_payload: { fenced: 'node-1' },
    });
    expect(decideIntent('auto', event)).toEqual({
      kind: 'failover',
      body: { fenced: 'node-1' },
      sha: MERGED,
      why: 'repository_dispatch failover',
    });
    expect(decideIntent('failover', createEvent('workflow_dispatch'))).toEqual({
      kind: 'failover',
      body: undefined,
      sha: MERGED,
      why: 'command is failover',
    });
  });

  test('a replacement starts by dispatch, with its body, or by command', () => {
    const event = createEvent('repository_dispatch', {
      action: 'replace',
      client_payload: { replace: 'node-2' },
    });
    const asked = { kind: 'replace', sha: MERGED };
    expect(decideIntent('auto', event)).toMatchObject({ ...asked, body: { replace: 'node-2' } });
    expect(decideIntent('replace', createEvent('workflow_dispatch'))).toMatchObject(asked);
  });

  test('a deletion starts by dispatch, with its body, or by command', () => {
    const event = createEvent('repository_dispatch', {
      action: 'discard',
      client_payload: { discard: 'node-2' },
    });
    const asked = { kind: 'discard', sha: MERGED };
    expect(decideIntent('auto', event)).toMatchObject({ ...asked, body: { discard: 'node-2' } });
    expect(decideIntent('discard', createEvent('workflow_dispatch'))).toMatchObject(asked);
  });

  test('a rehearsal starts by schedule, by dispatch or by hand', () => {
    const asked = { kind: 'rehearse', sha: MERGED };
    for (const name of ['schedule', 'workflow_dispatch']) {
      expect(decideIntent('rehearse', createEvent(name))).toMatchObject(asked);
    }
    const event = createEvent('repository_dispatch', { action: 'rehearse', client_payload: {} });
    expect(decideIntent('auto', event)).toMatchObject({ ...asked, body: {} });
  });

  test('a removal starts by dispatch, with its body, or by command, and knows its event', () => {
    const event = createEvent('repository_dispatch', {
      action: 'destroy',
      client_payload: { destroy: 'orders' },
    });
    const asked = { kind: 'destroy', sha: MERGED };
    expect(decideIntent('auto', event)).toMatchObject({
      ...asked,
      body: { destroy: 'orders' },
      event: 'repository_dispatch',
    });
    for (const name of ['workflow_dispatch', 'push', 'schedule']) {
      expect(decideIntent('destroy', createEvent(name))).toMatchObject({ ...asked, event: name });
    }
  });

  test.each(['refs/heads/main', 'refs/heads/x'])(
    'a named command runs on any event, at %s',
    (ref) => {
      expect(decideIntent('plan', createEvent('workflow_dispatch', {}, ref))).toMatchObject({
        kind: 'operation',
        operation: 'plan',
        body: undefined,
      });
    },
  );
});
