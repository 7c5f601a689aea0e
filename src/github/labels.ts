import {
  catchForbidden,
  type Forbidden,
  type GitHubClient,
  isForbidden,
  type Repository,
  readStatus,
} from './client.ts';

/** The outcome of setting labels. */
export type LabelsOutcome =
  | {
      readonly outcome: 'set';
      readonly added: readonly string[];
      readonly removed: readonly string[];
      /** Wanted labels that the repository lacks and the token may not create. */
      readonly missing: readonly string[];
    }
  | Forbidden;

/**
 * Sets the labels of `own` that are in `wanted` on a pull request and removes the other labels of `own`; all other
 * labels stay. GitHub creates a missing label if the token has `issues: write`; `pull-requests: write` sets existing
 * ones only (endpoints "List labels for an issue", "Add labels to an issue", "Remove a label from an issue", which
 * treat pull requests as issues).
 *
 * @throws the API's error for anything but a lack of permission
 */
export async function setLabels(
  client: GitHubClient,
  options: {
    repository: Repository;
    number: number;
    own: readonly string[];
    wanted: readonly string[];
  },
): Promise<LabelsOutcome> {
  const { repository, number, own, wanted } = options;
  const pullRequest = { ...repository, issue_number: number };
  return catchForbidden(async () => {
    const present = await listLabels(client, pullRequest);
    const added = wanted.filter((label) => !has(present, label));
    const removed = own.filter((label) => has(present, label) && !has(wanted, label));
    // First, as a wrong label is worse than a missing one.
    for (const name of removed) await removeLabel(client, pullRequest, name);
    const missing = await addLabels(client, pullRequest, added);
    return {
      outcome: 'set',
      added: added.filter((label) => !missing.includes(label)),
      removed,
      missing,
    };
  });
}

/** GitHub ignores case in names. */
const has = (labels: readonly string[], label: string): boolean =>
  labels.some((one) => one.toLowerCase() === label.toLowerCase());

type PullRequestRef = Repository & { readonly issue_number: number };

/** Lists the labels of a pull request: at most 100, which fit on a page. */
async function listLabels(client: GitHubClient, pullRequest: PullRequestRef): Promise<string[]> {
  const { data } = await client.request('GET /repos/{owner}/{repo}/issues/{issue_number}/labels', {
    ...pullRequest,
    per_page: 100,
  });
  return data.map(({ name }) => name);
}

/** Adds labels, and returns those that the repository lacks and the token may not create. */
async function addLabels(
  client: GitHubClient,
  pullRequest: PullRequestRef,
  labels: readonly string[],
): Promise<string[]> {
  if (labels.length === 0) return [];
  try {
    await client.request('POST /repos/{owner}/{repo}/issues/{issue_number}/labels', {
      ...pullRequest,
      labels: [...labels],
    });
    return [];
  } catch (error) {
    if (!isCreationRefused(error)) throw error;
    // One missing label makes GitHub refuse the whole request.
    const [only, ...others] = labels;
    if (only === undefined || others.length === 0) return [...labels];
    const missing: string[] = [];
    for (const label of labels) missing.push(...(await addLabels(client, pullRequest, [label])));
    return missing;
  }
}

/** GitHub since 2025: "You do not have permission to create labels on this repository." */
const isCreationRefused = (error: unknown): boolean =>
  isForbidden(error) && /permission to create labels/i.test(error.message);

async function removeLabel(
  client: GitHubClient,
  pullRequest: PullRequestRef,
  name: string,
): Promise<void> {
  try {
    await client.request('DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}', {
      ...pullRequest,
      name,
    });
  } catch (error) {
    // Removed in the meantime.
    if (readStatus(error) !== 404) throw error;
  }
}
