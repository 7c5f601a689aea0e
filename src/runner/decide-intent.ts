import { decidePullRequest, explainNoSecrets } from './decide-pull-request.ts';
import type { EventPayload, TriggerEvent } from './event.ts';
import type { CalledCommand, Command, Intent } from './intent.ts';

/** The command that each `event_type` of the API calls (POST /repos/{owner}/{repo}/dispatches). */
const COMMAND_BY_EVENT_TYPE: ReadonlyMap<string, CalledCommand> = new Map([
  ['generate-terraform', 'generate'],
  ['generate-terraform-plan', 'plan'],
  ['generate-terraform-apply', 'apply'],
  ['apply_ansible_configuration', 'configure'],
  ['failover', 'failover'],
  ['replace', 'replace'],
  ['discard', 'discard'],
  ['backup', 'backup'],
  ['rehearse', 'rehearse'],
  ['destroy', 'destroy'],
]);

/** Decides what this run is for, from the command and the event alone. */
export function decideIntent(command: Command, event: TriggerEvent): Intent {
  if (command !== 'auto') {
    return buildCommandIntent(command, {
      body: undefined,
      event,
      why: `command is ${command}`,
    });
  }
  switch (event.name) {
    case 'pull_request':
    case 'pull_request_target':
      return decidePullRequest(event);
    case 'push':
      return decidePush(event);
    case 'merge_group':
      return {
        kind: 'review',
        event: 'merge_group',
        base: event.payload.merge_group?.base_ref?.replace(/^refs\/heads\//, '') ?? null,
        pullRequest: null,
        queued: readQueuedPullRequest(event.payload),
        withoutSecrets: null,
        consent: null,
        sha: event.sha,
        why: 'a merge queue checks the change: plan only',
      };
    case 'schedule':
      return { kind: 'drift', sha: event.sha, why: 'scheduled: look for drift' };
    case 'repository_dispatch':
      return decideDispatch(event);
    default:
      return {
        kind: 'skip',
        why: `event ${event.name} means nothing to command auto; set command to generate, plan, apply, configure, failover, replace, discard, backup, rehearse or destroy to run one operation on it`,
      };
  }
}

/** Reads the number from a merge queue's branch name: `gh-readonly-queue/main/pr-7-<sha>`. */
function readQueuedPullRequest({ merge_group }: EventPayload): number | null {
  const number = /\/pr-(\d+)-[0-9a-f]+$/.exec(merge_group?.head_ref ?? '')?.[1];
  return number === undefined ? null : Number(number);
}

function decidePush(event: TriggerEvent): Intent {
  const { payload, ref, sha } = event;
  const branch = payload.repository?.default_branch;
  if (payload.deleted) return { kind: 'skip', why: `${ref} was deleted` };
  if (branch === undefined || ref !== `refs/heads/${branch}`) {
    return {
      kind: 'skip',
      why: `${ref} was pushed; only a push to the default branch (${branch ?? 'unknown'}) is deployed`,
    };
  }
  return {
    kind: 'deploy',
    pullRequest: null,
    withoutSecrets: explainNoSecrets(event),
    branch,
    pushedAt: readPushTime(payload.repository?.pushed_at),
    before: /^(?!0+$)[0-9a-f]{40}$/.test(payload.before ?? '') ? (payload.before ?? null) : null,
    sha,
    why: `${branch} was pushed`,
  };
}

/** A push sends seconds since 1970, every other event a date. */
function readPushTime(value: number | string | null | undefined): string | null {
  const date = typeof value === 'number' ? new Date(value * 1000) : new Date(value ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function decideDispatch(event: TriggerEvent): Intent {
  const { payload } = event;
  const operation = COMMAND_BY_EVENT_TYPE.get(payload.action ?? '');
  if (!operation) {
    return {
      kind: 'skip',
      why: `event type ${JSON.stringify(payload.action ?? '')} is not one of ${[...COMMAND_BY_EVENT_TYPE.keys()].join(', ')}`,
    };
  }
  const body = payload.client_payload ?? {};
  return buildCommandIntent(operation, {
    body,
    event,
    why: `repository_dispatch ${payload.action}`,
  });
}

function buildCommandIntent(
  operation: CalledCommand,
  { body, event, why }: { body: unknown; event: TriggerEvent; why: string },
): Intent {
  const { sha, name } = event;
  if (operation === 'destroy') return { kind: operation, body, event: name, sha, why };
  if (
    operation === 'failover' ||
    operation === 'replace' ||
    operation === 'discard' ||
    operation === 'backup' ||
    operation === 'rehearse'
  ) {
    return { kind: operation, body, sha, why };
  }
  return { kind: 'operation', operation, body, why };
}
