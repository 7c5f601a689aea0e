import {
  catchForbidden,
  type Forbidden,
  type GitHubClient,
  isForbidden,
  type Repository,
  readStatus,
} from './client.ts';

/** What became of a pull request's labels. */
export type LabelsOutcome =
  | {
      readonly outcome: 'set';
      readonly added: readonly string[];
      readonly removed: readonly string[];
      /** Wanted labels that the repository does not have and the token may not create. */
      readonly missing: readonly string[];
    }
  | Forbidden;

/**
 * Makes a pull request carry, of the labels in `own`, those in `wanted` and no other; whatever else it carries is left
 * alone. GitHub creates a label that the repository lacks if the token has `issues: write`; `pull-requests: write` sets
 * existing ones only (endpoints "List labels for an issue", "Add labels to an issue", "Remove a label from an issue";
 * pull requests are issues to them).
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
  const place = { ...repository, issue_number: number };
  return catchForbidden(async () => {
    const present = await listLabels(client, place);
    const added = wanted.filter((label) => !has(present, label));
    const removed = own.filter((label) => has(present, label) && !has(wanted, label));
    // First: a label that says something wrong is worse than one that is absent.
    for (const name of removed) await removeLabel(client, place, name);
    const missing = await addLabels(client, place, added);
    return {
      outcome: 'set',
      added: added.filter((label) => !missing.includes(label)),
      removed,
      missing,
    };
  });
}

/** GitHub takes two names that differ only in case for the same. */
const has = (labels: readonly string[], label: string): boolean =>
  labels.some((one) => one.toLowerCase() === label.toLowerCase());

type Place = Repository & { readonly issue_number: number };

/** A pull request has at most 100 labels, which is a page. */
async function listLabels(client: GitHubClient, place: Place): Promise<string[]> {
  const { data } = await client.request('GET /repos/{owner}/{repo}/issues/{issue_number}/labels', {
    ...place,
    per_page: 100,
  });
  return data.map(({ name }) => name);
}

/** Adds labels, and returns those that the repository lacks and the token may not create. */
async function addLabels(
  client: GitHubClient,
  place: Place,
  labels: readonly string[],
): Promise<string[]> {
  if (labels.length === 0) return [];
  try {
    await client.request('POST /repos/{owner}/{repo}/issues/{issue_number}/labels', {
      ...place,
      labels: [...labels],
    });
    return [];
  } catch (error) {
    if (!isCreationRefused(error)) throw error;
    // One missing label makes GitHub refuse the whole request.
    const [only, ...others] = labels;
    if (only === undefined || others.length === 0) return [...labels];
    const missing: string[] = [];
    for (const label of labels) missing.push(...(await addLabels(client, place, [label])));
    return missing;
  }
}

/** GitHub since 2025: "You do not have permission to create labels on this repository." */
const isCreationRefused = (error: unknown): boolean =>
  isForbidden(error) && /permission to create labels/i.test(error.message);

async function removeLabel(client: GitHubClient, place: Place, name: string): Promise<void> {
  try {
    await client.request('DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}', {
      ...place,
      name,
    });
  } catch (error) {
    // Somebody was quicker.
    if (readStatus(error) !== 404) throw error;
  }
}
