import { join } from 'node:path';
import type { WorkflowEvent } from '../github/event.ts';
import type { Urls } from '../github/shape.ts';

/** The directories of a runner's work folder. */
export interface Directories {
  readonly workspace: string;
  readonly temp: string;
  readonly toolCache: string;
}

/** The input of the contexts. */
export interface ContextParts {
  readonly event: WorkflowEvent;
  readonly urls: Urls;
  readonly token: string;
  readonly directories: Directories;
  readonly runnerEnvironment: 'github-hosted' | 'self-hosted';
  readonly runId: number;
  readonly runAttempt: number;
  readonly job: string;
  readonly workflow: string;
  readonly debug: boolean;
}

/** Returns the path of the file with an event's payload. */
export function locateEventFile(directories: Directories): string {
  return join(directories.temp, '_github_workflow', 'event.json');
}

/**
 * Builds the `github` context: its texts become GITHUB_* variables, except for `token` and `event`.
 * `action_path` is absent, as for every action that is not composite.
 * @throws Error for an event for which GitHub starts no workflow
 * Source: docs.github.com, "Contexts reference" and "Variables reference"; the runner's GitHubContext.
 */
export function makeGitHubContext(parts: ContextParts): Record<string, unknown> {
  const { event, urls, directories } = parts;
  if (event.blocked !== undefined)
    throw new Error(`GitHub starts no workflow on ${event.name}: ${event.blocked}.`);
  const payload = event.payload as {
    repository?: { id?: number; owner?: { id?: number } };
    sender?: { id?: number };
  };
  const [owner = ''] = event.repository.split('/');
  return {
    action: '__self',
    action_ref: '',
    action_repository: '',
    actor: event.actor,
    actor_id: String(payload.sender?.id ?? ''),
    api_url: urls.api,
    base_ref: event.baseRef,
    event_name: event.name,
    event_path: locateEventFile(directories),
    graphql_url: urls.graphql,
    head_ref: event.headRef,
    job: parts.job,
    ref: event.ref,
    ref_name: event.ref.replace(/^refs\/(heads|tags|pull)\//, ''),
    ref_protected: 'false',
    ref_type: event.ref.startsWith('refs/tags/') ? 'tag' : 'branch',
    repository: event.repository,
    repository_id: String(payload.repository?.id ?? ''),
    repository_owner: owner,
    repository_owner_id: String(payload.repository?.owner?.id ?? ''),
    retention_days: '90',
    run_attempt: String(parts.runAttempt),
    run_id: String(parts.runId),
    run_number: String(parts.runId % 1000),
    server_url: urls.server,
    sha: event.sha,
    triggering_actor: event.actor,
    workflow: parts.workflow,
    workflow_ref: `${event.repository}/.github/workflows/${parts.workflow}.yml@${event.ref}`,
    workflow_sha: event.sha,
    workspace: directories.workspace,
    token: parts.token,
    event: event.payload,
  };
}

/** Builds the `runner` context: all of it becomes RUNNER_* variables. */
export function makeRunnerContext(parts: ContextParts): Record<string, string> {
  return {
    arch: process.arch === 'arm64' ? 'ARM64' : 'X64',
    environment: parts.runnerEnvironment,
    name: 'lab',
    os: 'Linux',
    temp: parts.directories.temp,
    tool_cache: parts.directories.toolCache,
    workspace: join(parts.directories.workspace, '..'),
    ...(parts.debug ? { debug: '1' } : {}),
  };
}

/** Turns a context into variables: `PREFIX_NAME` for every text in it except the hidden ones. */
export function buildVariables(
  prefix: string,
  context: Record<string, unknown>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(context)
      .filter(([name, value]) => typeof value === 'string' && name !== 'token')
      .map(([name, value]) => [`${prefix}_${name.toUpperCase()}`, value as string]),
  );
}
