import type { UnobservedPlan } from '../cluster/rollout/planned-changes.ts';
import type { Rollout } from '../cluster/rollout/rollout.ts';
import type { Step, StepOf } from '../cluster/rollout/step.ts';
import { cleanText } from '../messages/clean-text.ts';
import { listSome } from '../messages/list-some.ts';
import { formatBytes } from '../messages/quantities.ts';
import { describeBackupStep, summarizeBackupSteps } from './backup-steps.ts';
import { fitParts, fixed, type Section } from './budget.ts';
import { describeClone } from './copies.ts';
import { renderNotObserved, WHILE_REFUSED } from './foresight.ts';
import { countNoun, renderCode, renderText, shortenText } from './markdown.ts';
import { describeReasons, MAX_SLOTS } from './step-reasons.ts';

/** The steps of the database, or why they are not known before the merge. */
export type DatabasePlan = Rollout | UnobservedPlan;

/**
 * Renders the steps as a numbered list for a DBA, or the reason for their absence. If room is short, the last ones are
 * left out; `whole` says in Markdown where to find all. `isRefused`: the infrastructure change is refused, and with it
 * the steps.
 */
export function renderDatabase(
  database: DatabasePlan,
  {
    shrinkOrder,
    whole,
    isRefused = false,
  }: { shrinkOrder: number; whole: string; isRefused?: boolean },
): Section {
  if (database.kind === 'unobserved')
    return renderNotObserved(database, { shrinkOrder, isRefused });
  const rest = (missing: number) =>
    missing === 0 ? '' : `✂️ Left out to fit: ${missing} of the list. ${whole}`;
  if (database.kind !== 'steps') {
    const items = database.refusals.map((refusal) => `- ${renderText(shortenText(refusal))}`);
    const render = (count: number) =>
      joinBlocks(
        'The action will **refuse** to touch the database:',
        items.slice(0, count).join('\n'),
        rest(items.length - count),
      );
    return { shrinkOrder, render: (room) => fitParts(items.length, { room, render }) };
  }
  const { steps, observeAgain, deferral } = database;
  if (steps.length === 0) {
    return fixed(
      deferral
        ? 'Nothing to do now on the nodes that can be reached.'
        : 'Nothing to do: every node already runs as asked.',
    );
  }
  const render = (count: number) =>
    joinBlocks(
      isRefused ? WHILE_REFUSED : '',
      renderSteps(steps.slice(0, count)),
      rest(steps.length - count),
      observeAgain
        ? 'Then the nodes are looked at again; what follows is decided by what is seen.'
        : '',
    );
  return { shrinkOrder, render: (room) => fitParts(steps.length, { room, render }) };
}

const joinBlocks = (...blocks: readonly string[]): string =>
  blocks.filter((block) => block !== '').join('\n\n');

/** The longest value that a step shows whole, in code units. */
const MAX_VALUE = 60;

/** Renders steps as a numbered list, in the order of execution; Markdown. */
export function renderSteps(steps: readonly Step[]): string {
  return steps
    .map((step, index) =>
      joinSentences(
        `${index + 1}. ${describeStep(step)}`,
        describeReasons(step, (text) => renderCode(shortenText(text, MAX_VALUE))),
      ),
    )
    .join('\n');
}

/** Returns the steps as numbered lines of plain text, for the log. */
export function listSteps(steps: readonly Step[]): string[] {
  return steps.map((step, index) => {
    // Names contain none of these characters.
    const description = describeStep(step).replace(/[*`]/g, '');
    // Values stay whole: the runner masks no part of a secret.
    const reasons = describeReasons(step, (text) => cleanText(text).replace(/\s+/g, ' '));
    return joinSentences(`${index + 1}. ${description}`, reasons);
  });
}

const joinSentences = (...sentences: readonly string[]): string =>
  sentences.filter((sentence) => sentence !== '').join(' ');

/**
 * Returns a warning about the cost of synchronous replication, in general and in these steps; null if it is off.
 * `replicas`: the number of replicas.
 */
export function warnSynchronous(
  { synchronousReplicas, replicas }: { synchronousReplicas: number; replicas: number },
  steps: readonly Step[],
): string | null {
  if (synchronousReplicas === 0) return null;
  const rule = `synchronous-replicas: a commit waits for ${synchronousReplicas} of ${countNoun(replicas, 'replica')}. While fewer are up, all writes wait.`;
  if (synchronousReplicas < replicas) return rule;
  const wait = findWait({ synchronousReplicas, replicas }, steps);
  return wait === null
    ? rule
    : `${rule} There is none to spare, so in this change they wait ${wait}.`;
}

/**
 * Returns how long commits wait for a replica that these steps stop, with synchronous replication and no replica to
 * spare; null if they do not. Commits never wait for a leaving or a new node: the quorum is lowered before and raised
 * after.
 */
export function findWait(
  { synchronousReplicas, replicas }: { synchronousReplicas: number; replicas: number },
  steps: readonly Step[],
): string | null {
  if (synchronousReplicas === 0 || synchronousReplicas < replicas) return null;
  const leaving = steps.flatMap((step) => (step.kind === 'destroy' ? step.nodes : []));
  const isStopped = steps.some(
    (step) => step.kind === 'resize' && !step.nodes.every((node) => leaving.includes(node)),
  );
  if (isStopped) return 'for minutes, while an instance is resized';
  const restarts = steps.some(
    (step) =>
      step.kind === 'switchover' || (step.kind === 'restart' && step.nodes[0] !== step.primary),
  );
  return restarts ? 'while a replica restarts' : null;
}

/**
 * Returns the effects of the steps on clients for a headline, e.g. `3 restarts · writes pause about 1 s`; '' without
 * effects. `writesWait`: how long commits wait for replicas.
 */
export function summarizeSteps(steps: readonly Step[], writesWait: string | null): string {
  const count = (...kinds: readonly Step['kind'][]) =>
    steps.filter(({ kind }) => kinds.includes(kind)).flatMap(({ nodes }) => nodes).length;
  const restarts = count('restart');
  const clones = count('clone');
  const resizes = count('resize');
  const switchovers = steps.filter(({ kind }) => kind === 'switchover').length;
  const touches = restarts + clones + resizes + switchovers > 0;
  const summary = [
    steps.some(({ kind }) => kind === 'initialise') ? 'new database cluster' : '',
    clones === 0 ? '' : countNoun(clones, 'clone'),
    restarts === 0 ? '' : countNoun(restarts, 'rolling restart'),
    switchovers === 0 ? '' : countNoun(switchovers, 'switchover'),
    writesWait === null ? summarizePauses(steps) : `writes wait ${writesWait}`,
    !touches && steps.some(({ kind }) => kind === 'reload') ? 'reload' : '',
    ...summarizeBackupSteps(steps),
  ]
    .filter((part) => part !== '')
    .join(' · ');
  return summary === '' && steps.length > 0 ? countNoun(steps.length, 'database step') : summary;
}

/** Returns how often and about how long writes pause, e.g. `writes pause about 1 s`; '' if never. */
function summarizePauses(steps: readonly Step[]): string {
  const pauses = steps.map(estimatePause).filter((pause) => pause !== null);
  if (pauses.length === 0) return '';
  const [first] = pauses;
  if (pauses.length === 1) return `writes pause ${first}`;
  const same = pauses.every((pause) => pause === first);
  return `writes pause ${pauses.length} times${same ? `, ${first} each` : ''}`;
}

/** Returns about how long a step pauses writes; null if it does not. Measured in the lab, on small data. */
function estimatePause(step: Step): string | null {
  switch (step.kind) {
    case 'switchover':
      return 'about 1 s';
    case 'restart':
      return step.nodes[0] === step.primary ? 'a few seconds' : null;
    case 'stop':
      return step.nodes.includes(step.primary) ? 'some minutes' : null;
    default:
      return null;
  }
}

function describeStep(step: Step): string {
  const nodes = listNodes(step.nodes);
  const one = step.nodes.length === 1;
  switch (step.kind) {
    case 'provision':
      return `**Apply** (Terraform): ${nodes} ${one ? 'is' : 'are'} made.`;
    case 'boot':
      return `**Start** the ${one ? 'instance' : 'instances'} of ${nodes} (Terraform), which ${one ? 'is' : 'are'} stopped in EC2${step.instanceType === null ? '' : `, as ${renderCode(step.instanceType)}`}. Until then no other node is touched.`;
    case 'prepare':
      return `**Prepare** ${nodes}: SSH key, Docker, data volume, image${step.tools === undefined ? '' : TOOLS[step.tools]}. No PostgreSQL is touched.`;
    case 'grow':
      return `**Grow** the file systems of ${nodes} into their volumes, no pause: PostgreSQL keeps running.`;
    case 'check':
      return `**Check** on ${nodes}: a throw-away server without data starts with the new settings and image. If it does not, no PostgreSQL is touched.`;
    case 'initialise':
      return `**Initialise** ${nodes}: a new, empty database cluster; it becomes the primary.`;
    case 'restore':
    case 'archive':
    case 'backup':
    case 'verify':
    case 'record':
      return describeBackupStep(step);
    case 'admit':
      return `**Update access** on ${nodes}: ${describeAdmission(step)}.`;
    case 'clone':
      return describeClone(step);
    case 'start':
      return step.nodes.includes(step.primary)
        ? `**Start** the primary ${nodes}, which is stopped.`
        : takesArchivedWal(step)
          ? `**Catch up** on ${nodes} from the WAL archive, then follow ${renderCode(step.primary)}; cloned again if that fails.`
          : `**Start** ${nodes} as ${one ? 'a replica' : 'replicas'} of ${renderCode(step.primary)}; cloned again if that fails.`;
    case 'reload':
      return `**Reload** ${nodes}: settings and replication source, without a restart. No connection is lost.`;
    case 'restart':
      return step.nodes[0] === step.primary
        ? `**Restart** the primary ${nodes}: its connections end and **writes pause** for ${estimatePause(step)}.`
        : `**Restart** the replica ${nodes}: its connections end; the primary keeps running.`;
    case 'stop':
      return step.nodes.includes(step.primary)
        ? `**Stop** the primary ${nodes}: no replica can take over, so **writes pause** for ${estimatePause(step)}.`
        : `**Stop** the ${one ? 'replica' : 'replicas'} ${nodes} cleanly; the primary keeps running.`;
    case 'switchover':
      return describeSwitchover(step);
    case 'fence':
      return `**Fence** ${nodes}: its PostgreSQL is stopped and can only come back as a replica.`;
    case 'discard':
      return describeDiscard(step);
    case 'promote':
      return `**Promote** ${nodes}, which has the most changes: it becomes the primary.`;
    case 'resize':
      return `**Resize** ${nodes} to ${renderCode(step.instanceType)} (Terraform): its instance stops and starts.`;
    case 'halt':
      return `**Stop the instance** of ${nodes} by force (Terraform): it cannot be reached, and must not take writes beside the next primary.`;
    case 'replace':
      return `**Replace** the instance of ${nodes} with a new one (Terraform).`;
    case 'destroy':
      return `**Remove** ${nodes} (Terraform): instance and data volume; a last snapshot of the volume is kept.`;
  }
}

function takesArchivedWal({ fromArchive, reasons = {} }: StepOf<'start'>): boolean {
  const kinds = Object.values(reasons).flatMap((list) => list.map(({ kind }) => kind));
  return fromArchive === true && kinds.includes('wal-archived');
}

/** What happens to the programs for backups. */
const TOOLS = { install: ', pgBackRest', remove: '; pgBackRest is removed' } as const;

function describeDiscard({ nodes, directories, data }: StepOf<'discard'>): string {
  const names = directories.map(({ name, bytes }) => `${renderCode(name)} (${formatBytes(bytes)})`);
  const what = [...names, ...(data ? ['the data that it has now'] : [])].join(', ');
  return `**Delete** on ${listNodes(nodes)}: ${what === '' ? 'nothing is kept there' : what}.`;
}

function describeSwitchover(step: StepOf<'switchover'>): string {
  const [from, to] = step.nodes.map(renderCode);
  return `**Switch over** from ${from} to ${to}: when ${to} streams without lag, ${from} stops, ${to} takes the last byte and becomes the primary. **Writes pause** for ${estimatePause(step)}; no committed row is lost.`;
}

function describeAdmission({ slots, retiredSlots }: StepOf<'admit'>): string {
  const list = (names: readonly string[]) => listSome(names.map(renderCode), MAX_SLOTS);
  return [
    'roles and passwords',
    ...(slots.length === 0 ? [] : [`${slots.length === 1 ? 'slot' : 'slots'} ${list(slots)}`]),
    ...(retiredSlots.length === 0 ? [] : [`**drop** the retired ${list(retiredSlots)}`]),
    'who may connect (`pg_hba.conf`)',
  ].join(', ');
}

function listNodes(nodes: readonly string[]): string {
  return nodes.map(renderCode).join(', ');
}
