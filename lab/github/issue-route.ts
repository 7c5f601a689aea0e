import { checkBody, checkConversation } from './conversation.ts';
import { cutPage } from './page.ts';
import { checkPermission, makeMalformed, makeNotFound, Problem } from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import { findIssue, readOptionalText, readText, readWord } from './route.ts';
import { buildIssue, buildLabel, buildLabels } from './shape.ts';
import type { IssueRecord, LabelingRecord, State } from './state.ts';
import { readClock, takeId } from './state.ts';

function checkIssues(call: Call, access: 'read' | 'write'): void {
  checkPermission({ state: call.world.state, token: call.token }, { permission: 'issues', access });
}

// If issues are disabled, lists still answer, with pull requests only.
function checkEnabled(call: Call, issue?: IssueRecord): void {
  const { hasIssues, pulls } = call.world.state;
  if (hasIssues || (issue !== undefined && pulls[issue.number] !== undefined)) return;
  throw new Problem(410, 'Issues has been disabled in this repository.');
}

function listIssues(call: Call): Answer {
  checkIssues(call, 'read');
  const query = call.url.searchParams;
  const state = query.get('state') ?? 'open';
  const labels = (query.get('labels') ?? '').split(',').filter((label) => label !== '');
  const creator = query.get('creator');
  const ascending = query.get('direction') === 'asc';
  const issues = Object.values(call.world.state.issues)
    .filter(({ number }) => call.world.state.hasIssues || call.world.state.pulls[number])
    .filter((issue) => state === 'all' || issue.state === state)
    .filter((issue) => creator === null || issue.author === creator)
    .filter((issue) => labels.every((label) => hasLabel(issue, label)))
    .sort((a, b) => (ascending ? a.number - b.number : b.number - a.number));
  const page = cutPage(issues, call.url);
  return { body: page.items.map((issue) => buildIssue(call.world, issue)), link: page.link };
}

function hasLabel(issue: IssueRecord, label: string): boolean {
  return issue.labels.some((own) => isSame(own, label));
}

// GitHub ignores the case of label names.
const isSame = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/** Adds an issue to the state and returns it; a pull request starts as one. */
export function addIssue(
  state: State,
  issue: { title: string; body: string | null; author: string },
): IssueRecord {
  const now = readClock();
  const record: IssueRecord = {
    id: takeId(state),
    number: state.nextNumber,
    ...issue,
    state: 'open',
    stateReason: null,
    createdAt: now,
    updatedAt: now,
    closedAt: null,
    labels: [],
  };
  state.nextNumber += 1;
  state.issues[record.number] = record;
  return record;
}

function createIssue(call: Call): Answer {
  checkIssues(call, 'write');
  checkEnabled(call);
  const title = readText(call.body, 'title');
  const body = readOptionalText(call.body, 'body') ?? null;
  checkBody(body ?? '', 'Issue');
  const labels = readLabels(call.body.labels ?? []);
  const issue = addIssue(call.world.state, { title, body, author: call.login });
  for (const name of labels) addLabel(call.world.state, issue, { name, by: call.login });
  return { status: 201, body: buildIssue(call.world, issue) };
}

function updateIssue(call: Call): Answer {
  const issue = findIssue(call);
  checkIssues(call, 'write');
  checkEnabled(call, issue);
  const title = readOptionalText(call.body, 'title');
  const body = readOptionalText(call.body, 'body');
  checkBody(body ?? '', 'Issue');
  const labels = call.body.labels === undefined ? undefined : readLabels(call.body.labels);
  if (call.body.state !== undefined) {
    const reasons = ['completed', 'not_planned', 'reopened', 'duplicate'] as const;
    const state = readWord(call.body, 'state', ['open', 'closed']);
    const reason = call.body.state_reason ?? undefined;
    const word = reason === undefined ? undefined : readWord(call.body, 'state_reason', reasons);
    if (state !== issue.state) {
      issue.stateReason = word ?? (state === 'closed' ? 'completed' : 'reopened');
      issue.closedAt = state === 'closed' ? readClock() : null;
    }
    issue.state = state;
  }
  issue.title = title ?? issue.title;
  issue.body = body ?? issue.body;
  if (labels !== undefined) {
    const { state } = call.world;
    const isWanted = (own: string) => labels.some((name) => isSame(own, name));
    for (const name of issue.labels.filter((own) => !isWanted(own)))
      dropLabel(state, issue, { name, by: call.login });
    for (const name of labels) addLabel(state, issue, { name, by: call.login });
  }
  issue.updatedAt = readClock();
  return { body: buildIssue(call.world, issue) };
}

// The API accepts names, and objects with a name.
function readLabels(value: unknown): string[] {
  if (!Array.isArray(value))
    throw makeMalformed(`For 'properties/labels', the value is not an array.`);
  return value.map((entry: unknown) => {
    const name =
      typeof entry === 'object' && entry !== null && 'name' in entry ? entry.name : entry;
    if (typeof name === 'string' && name !== '') return name;
    throw makeMalformed(`For 'items', ${JSON.stringify(entry)} is not a string.`);
  });
}

/**
 * Refuses new labels if the token may not create labels; one new label refuses the whole request.
 * GitHub does so since April 2025, even if `pull-requests: write` allows to set labels.
 * Source: answers quoted by users, e.g. Songmu/tagpr#194, wolfi-dev/os#49539, actions/labeler#867.
 * @throws Problem 403 with GitHub's message
 */
function checkCreation(call: Call, labels: readonly string[]): void {
  const { state } = call.world;
  if (state.tokens[call.token]?.permissions.issues === 'write') return;
  if (labels.every((name) => state.labels[name.toLowerCase()] !== undefined)) return;
  throw new Problem(403, 'You do not have permission to create labels on this repository.', {
    errors: [{ resource: 'Repository', field: 'label', code: 'unauthorized' }],
  });
}

/** A label, and the account that puts it on or takes it off. */
interface Labeling {
  readonly name: string;
  readonly by: string;
}

/** Adds a label to an issue, and to the repository if it does not exist there yet. */
export function addLabel(state: State, issue: IssueRecord, { name, by }: Labeling): void {
  state.labels[name.toLowerCase()] ??= { id: takeId(state), name, color: 'ededed' };
  if (hasLabel(issue, name)) return;
  issue.labels.push(name);
  recordLabeling(state, issue, { event: 'labeled', label: name, actor: by });
}

function recordLabeling(
  state: State,
  { number }: IssueRecord,
  labeling: Pick<LabelingRecord, 'event' | 'label' | 'actor'>,
): void {
  const id = takeId(state);
  state.labelings.push({ id, issue: number, ...labeling, createdAt: readClock() });
}

function listLabels(call: Call): Answer {
  const issue = findIssue(call);
  checkConversation(call, issue.number, 'read');
  const page = cutPage(buildLabels(call.world, issue), call.url);
  return { body: page.items, link: page.link };
}

function addLabels(call: Call): Answer {
  const issue = findIssue(call);
  checkConversation(call, issue.number, 'write');
  const labels = readLabels(call.body.labels);
  checkCreation(call, labels);
  for (const name of labels) addLabel(call.world.state, issue, { name, by: call.login });
  return { body: buildLabels(call.world, issue) };
}

function removeLabel(call: Call): Answer {
  const issue = findIssue(call);
  checkConversation(call, issue.number, 'write');
  const name = call.params.name ?? '';
  if (!dropLabel(call.world.state, issue, { name, by: call.login })) throw makeNotFound();
  return { body: buildLabels(call.world, issue) };
}

/** Removes a label from an issue; returns false if it has no label with this name. */
export function dropLabel(state: State, issue: IssueRecord, { name, by }: Labeling): boolean {
  if (!hasLabel(issue, name)) return false;
  issue.labels = issue.labels.filter((own) => !isSame(own, name));
  recordLabeling(state, issue, { event: 'unlabeled', label: name, actor: by });
  return true;
}

function getLabel(call: Call): Answer {
  checkIssues(call, 'read');
  const label = call.world.state.labels[(call.params.name ?? '').toLowerCase()];
  if (label === undefined) throw makeNotFound();
  return { body: buildLabel(call.world, label) };
}

function getIssue(call: Call): Answer {
  checkIssues(call, 'read');
  const issue = findIssue(call);
  checkEnabled(call, issue);
  return { body: buildIssue(call.world, issue) };
}

const base = '/repos/:owner/:repo';

export const issueRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: `${base}/issues`,
    documentation: 'issues/issues#list-repository-issues',
    run: listIssues,
  },
  {
    method: 'POST',
    pattern: `${base}/issues`,
    documentation: 'issues/issues#create-an-issue',
    changes: true,
    run: createIssue,
  },
  {
    method: 'GET',
    pattern: `${base}/issues/:number`,
    documentation: 'issues/issues#get-an-issue',
    run: getIssue,
  },
  {
    method: 'PATCH',
    pattern: `${base}/issues/:number`,
    documentation: 'issues/issues#update-an-issue',
    changes: true,
    run: updateIssue,
  },
  {
    method: 'GET',
    pattern: `${base}/issues/:number/labels`,
    documentation: 'issues/labels#list-labels-for-an-issue',
    run: listLabels,
  },
  {
    method: 'POST',
    pattern: `${base}/issues/:number/labels`,
    documentation: 'issues/labels#add-labels-to-an-issue',
    changes: true,
    run: addLabels,
  },
  {
    method: 'DELETE',
    pattern: `${base}/issues/:number/labels/:name`,
    documentation: 'issues/labels#remove-a-label-from-an-issue',
    changes: true,
    run: removeLabel,
  },
  {
    method: 'GET',
    pattern: `${base}/labels/:name`,
    documentation: 'issues/labels#get-a-label',
    run: getLabel,
  },
];
