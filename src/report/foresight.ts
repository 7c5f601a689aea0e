import type { PlannedChange, UnobservedPlan } from '../cluster/rollout/planned-changes.ts';
import { byteLength, type Section } from './budget.ts';
import { countNoun, renderCode, renderText, shortenText } from './markdown.ts';

/** The longest explanation of nodes that cannot be reached, in code units. */
const MAX_REASON = 1_200;

/** Introduces steps that a blocked or refused change prevents. */
export const WHILE_REFUSED = 'None of this happens as it stands:';

/**
 * Renders what is known and what is not about a database whose nodes were not observed, in Markdown. If room is short,
 * the reason is shortened first, then the expected changes. `isRefused`: the infrastructure change is refused, and with
 * it all of this.
 */
export function renderNotObserved(
  { notObserved, plannedChanges }: UnobservedPlan,
  { shrinkOrder, isRefused }: { shrinkOrder: number; isRefused: boolean },
): Section {
  const known =
    plannedChanges.length === 0
      ? "As far as Terraform's state tells, nothing about the database changes."
      : [
          "As far as Terraform's state and plan tell:",
          plannedChanges.map((one) => `- ${describePlannedChange(one)}`).join('\n'),
        ].join('\n\n');
  const unknown =
    'Which node is the primary, whether the replicas stream and what somebody changed on the nodes is not known. The deploy looks first: it decides the steps then, or refuses before it touches PostgreSQL.';
  const before = isRefused && plannedChanges.length > 0 ? [WHILE_REFUSED] : [];
  const reason = `**The nodes were not looked at:** ${renderText(shortenText(notObserved, MAX_REASON))}`;
  const forms = [
    [...before, known, reason, unknown],
    [...before, known, `**The nodes were not looked at.** ${unknown}`],
    ['**The nodes were not looked at.** The deploy looks first and decides the steps then.'],
  ].map((blocks) => blocks.join('\n\n'));
  const render = (room: number) =>
    forms.find((form) => byteLength(form) <= room) ?? (forms.at(-1) as string);
  return { shrinkOrder, render };
}

/** Whether the change may pause writes, as far as is known before the nodes are observed. */
export function mayPause({ kind }: PlannedChange): boolean {
  return kind !== 'unrecorded' && kind !== 'clone' && kind !== 'synchronous';
}

function describePlannedChange(one: PlannedChange): string {
  switch (one.kind) {
    case 'unrecorded':
      return '**Settings and image**: the state does not say what the nodes were asked to run before, so what changes of it is not known.';
    case 'image':
      return `**Image** ${renderImage(one.before)} → ${renderImage(one.after)}: ${describeImage(one.obstacle)}`;
    case 'settings':
      return `**Settings**: ${countNoun(one.count, 'setting')} of the table above. The deploy asks the server whether a reload is enough; if it is not, every node restarts, one at a time, the primary last.`;
    case 'synchronous':
      return `**Synchronous replicas** ${one.before} → ${one.after}: a reload, no restart.`;
    case 'primary':
      return `**Primary** ${renderCode(one.node)}: if another node is the primary by then, a switchover changes that, and writes pause for about 1 s.`;
    case 'clone':
      return `**New** ${listNodes(one.nodes)} (Terraform): a blank data volume, cloned from the primary with \`pg_basebackup\`; the primary keeps running.`;
    case 'replace':
      return `**Another instance** for ${listNodes(one.nodes)} (Terraform): the data volume stays, and what lies on it decides whether its server starts or is cloned again.`;
    case 'resize':
      return `**Resize** ${listNodes(one.nodes)} to ${renderCode(one.instanceType)} (Terraform): one instance at a time stops and starts, the primary's last.`;
    case 'destroy':
      return `**Remove** ${listNodes(one.nodes)} (Terraform): instance and data volume; a last snapshot of the volume is kept. Nothing is removed that the deploy could not look at before.`;
  }
}

const listNodes = (nodes: readonly string[]): string => nodes.map(renderCode).join(', ');
const renderImage = (image: string): string => renderCode(shortenText(image, 200));

function describeImage(obstacle: Extract<PlannedChange, { kind: 'image' }>['obstacle']): string {
  switch (obstacle) {
    case 'major':
      return '**another major version**, which cannot read the data. The deploy refuses it where the nodes hold data.';
    case 'libc':
      return '**another C library**, which sorts text in another order. The deploy refuses it where the nodes hold data.';
    case null:
      return 'every node restarts with it, one at a time, the primary last.';
  }
}
