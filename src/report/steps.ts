import type { Rollout, Step } from '../cluster/rollout.ts';
import { countNoun, renderCode, renderText } from './markdown.ts';

/** What the database goes through, or why that cannot be said before the merge. */
export type DatabasePlan = Rollout | { readonly notObserved: string };

/** The steps as a numbered list a DBA reads, or the reason for none; Markdown. */
export function renderDatabase(database: DatabasePlan): string {
  if ('notObserved' in database) {
    return `Decided when it is merged, by asking the nodes: ${renderText(database.notObserved)}`;
  }
  if (!('steps' in database)) {
    return [
      'The action will **refuse** to touch the database:',
      '',
      ...database.refusals.map((refusal) => `- ${renderText(refusal)}`),
    ].join('\n');
  }
  if (database.steps.length === 0) return 'Nothing to do: every node already runs as asked.';
  return renderSteps(database.steps);
}

/** Steps as a numbered list, in the order they happen; Markdown. */
export function renderSteps(steps: readonly Step[]): string {
  return steps.map((step, index) => `${index + 1}. ${describeStep(step)}`).join('\n');
}

/** What the steps cost the clients, for a headline: `2 rolling restarts · writes pause once`; '' when nothing. */
export function summarizeSteps(steps: readonly Step[]): string {
  const restarts = steps.filter(({ kind }) => kind === 'restart');
  const clones = steps.flatMap((step) => (step.kind === 'clone' ? step.nodes : []));
  const pauses = restarts.filter((step) => 'primary' in step && step.nodes.includes(step.primary));
  return [
    steps.some(({ kind }) => kind === 'initialise') ? 'new database cluster' : '',
    clones.length === 0 ? '' : countNoun(clones.length, 'clone'),
    restarts.length === 0 ? '' : countNoun(restarts.length, 'rolling restart'),
    pauses.length === 0
      ? ''
      : `writes pause ${pauses.length === 1 ? 'once' : `${pauses.length} times`}`,
    restarts.length === 0 && steps.some(({ kind }) => kind === 'reload') ? 'reload' : '',
  ]
    .filter((part) => part !== '')
    .join(' · ');
}

function describeStep(step: Step): string {
  const nodes = listNodes(step.nodes);
  switch (step.kind) {
    case 'prepare':
      return `**Prepare** ${nodes}: SSH key, Docker, data volume, image. No PostgreSQL is touched.`;
    case 'initialise':
      return `**Initialise** ${nodes}: a new, empty database cluster; it becomes the primary.`;
    case 'admit':
      return `**Admit** on ${nodes}: ${describeAdmission(step)}.`;
    case 'clone':
      return `**Clone** ${nodes} from ${renderCode(step.primary)} with \`pg_basebackup\`, then stream. Writes go on.`;
    case 'start':
      return `**Start** ${nodes}, which ${step.nodes.length === 1 ? 'stands' : 'stand'} still now.`;
    case 'reload':
      return `**Reload** ${nodes}: new settings without a restart. No connection is lost.`;
    case 'restart':
      return step.nodes.includes(step.primary)
        ? `**Restart** the primary ${nodes}: its connections end and **writes pause** until it is back.`
        : `**Restart** the replica ${nodes}: its connections end; writes go on.`;
  }
}

function describeAdmission({ slots, retiredSlots }: Extract<Step, { kind: 'admit' }>): string {
  return [
    'roles and passwords',
    ...(slots.length === 0
      ? []
      : [`${slots.length === 1 ? 'slot' : 'slots'} ${slots.map(renderCode).join(', ')}`]),
    ...(retiredSlots.length === 0
      ? []
      : [`**drop** the retired ${retiredSlots.map(renderCode).join(', ')}`]),
    'who may connect (`pg_hba.conf`)',
  ].join(', ');
}

function listNodes(nodes: readonly string[]): string {
  return nodes.map(renderCode).join(', ');
}
