import { readFile } from 'node:fs/promises';
import { UserError } from '../messages/errors.ts';
import type { EventPayload, TriggerEvent } from './event.ts';

/** The environment that the runner gives every action (GitHub docs, "Default environment variables"). */
export interface RunnerEnvironment {
  readonly event: TriggerEvent;
  readonly repository: { readonly owner: string; readonly repo: string };
  /** REST API, e.g. `https://api.github.com` or a GHES's `https://host/api/v3`. */
  readonly apiUrl: string;
  /** Id and attempt of this run. */
  readonly run: { readonly id: number; readonly attempt: number };
  /** URL of this run in the browser. */
  readonly runUrl: string;
  /** The tag, branch or commit of this action in the workflow, e.g. `v1`; null for a local action. */
  readonly actionRef: string | null;
  /** The folder `docs` of this action at that version in the browser; null for a local action. */
  readonly docsUrl: string | null;
  /** The checkout of the repository. */
  readonly workspace: string;
  /** The runner's folder for temporary files, emptied after the job. */
  readonly temporary: string;
}

/**
 * Reads the environment of a run.
 *
 * @throws UserError if this is not a GitHub Actions runner
 */
export async function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Promise<RunnerEnvironment> {
  const missing: string[] = [];
  const read = (name: string): string => {
    const value = env[name] ?? '';
    if (value === '') missing.push(name);
    return value;
  };
  const eventPath = read('GITHUB_EVENT_PATH');
  const [owner = '', repo = ''] = read('GITHUB_REPOSITORY').split('/');
  const runId = read('GITHUB_RUN_ID');
  const environment = {
    repository: { owner, repo },
    apiUrl: read('GITHUB_API_URL'),
    run: { id: Number(runId), attempt: Number(read('GITHUB_RUN_ATTEMPT')) },
    runUrl: `${read('GITHUB_SERVER_URL')}/${owner}/${repo}/actions/runs/${runId}`,
    actionRef: env.GITHUB_ACTION_REF || null,
    docsUrl: locateDocs(env),
    workspace: read('GITHUB_WORKSPACE'),
    temporary: read('RUNNER_TEMP'),
  };
  const event = {
    name: read('GITHUB_EVENT_NAME'),
    ref: read('GITHUB_REF'),
    sha: read('GITHUB_SHA'),
    actor: env.GITHUB_ACTOR ?? '',
  };
  if (missing.length > 0) {
    throw new UserError(`This runs as a GitHub Action only; not set: ${missing.join(', ')}.`);
  }
  const { id, attempt } = environment.run;
  if (!Number.isSafeInteger(id) || !Number.isSafeInteger(attempt)) {
    throw new UserError(
      `GITHUB_RUN_ID is ${runId} and GITHUB_RUN_ATTEMPT ${env.GITHUB_RUN_ATTEMPT}: a runner sets both to numbers.`,
    );
  }
  const payload = JSON.parse(await readFile(eventPath, 'utf8')) as EventPayload;
  return { ...environment, event: { ...event, payload } };
}

/** Returns where the documentation of the version that runs is; null for a local action, whose repository is unknown. */
function locateDocs(env: Readonly<Record<string, string | undefined>>): string | null {
  const { GITHUB_ACTION_REPOSITORY: repository, GITHUB_ACTION_REF: ref } = env;
  if (!repository || !ref) return null;
  return `${env.GITHUB_SERVER_URL}/${repository}/blob/${ref}/docs`;
}
