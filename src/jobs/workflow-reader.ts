import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '../github/client.ts';
import { readRepositoryFile } from '../github/repository-file.ts';

/** More than GitHub takes of a workflow file (512 KB). */
const MAX_BYTES = 512 * 1024;

/**
 * Makes a reader of the run's workflow files: from the checkout, else through the API at the workflow's own commit
 * (`GITHUB_WORKFLOW_SHA`), with `token`; empty: from the checkout alone. What cannot be read is null.
 */
export function createWorkflowReader(
  env: Readonly<Record<string, string | undefined>>,
  token: string,
): (path: string) => Promise<string | null> {
  const { GITHUB_WORKSPACE: workspace, GITHUB_WORKFLOW_SHA: commit, GITHUB_API_URL: apiUrl } = env;
  const [owner, repo] = (env.GITHUB_REPOSITORY ?? '').split('/');
  return async (path) => {
    const local = workspace
      ? await readFile(join(workspace, path), 'utf8').catch(() => null)
      : null;
    if (local !== null || token === '' || !commit || !apiUrl || !owner || !repo) return local;
    const client = createClient({ token, apiUrl, log: () => {} });
    const repository = { owner, repo };
    const found = await readRepositoryFile(client, {
      repository,
      commit,
      path,
      limit: MAX_BYTES,
      // The commit is known for long: the workflow was started from it.
      wait: async () => {},
    }).catch(() => null);
    return found?.kind === 'file' ? found.bytes.toString('utf8') : null;
  };
}
