import type { ConfigurationPart, HostPart, StepReason } from '../cluster/rollout/reason.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { listSome } from '../messages/list-some.ts';
import { formatBytes } from '../messages/quantities.ts';
import { describeCopyReason } from './copies.ts';
import { countNoun } from './markdown.ts';

/** Reasons per node. The table of settings has all of them. */
const MAX_REASONS = 4;

/** Slots that a step or its reason names: a node can report any number. */
export const MAX_SLOTS = 4;

/**
 * Returns why a step is done, as a sentence; '' if its description already says everything. `render` renders a value for
 * Markdown or for the log.
 */
export function describeReasons(
  { reasons = {} }: Pick<Step, 'reasons'>,
  render: (text: string) => string,
): string {
  const show = (text: string) => (text === '' ? 'empty' : render(text));
  const byText = new Map<string, string[]>();
  for (const [node, list] of Object.entries(reasons)) {
    const text = joinReasons(list, show);
    if (text !== '') byText.set(text, [...(byText.get(text) ?? []), node]);
  }
  const groups = [...byText];
  if (groups.length === 0) return '';
  const isSame = groups[0]?.[1].length === Object.keys(reasons).length;
  const parts = groups.map(([text, nodes]) =>
    isSame ? text : `(${nodes.map(render).join(', ')}) ${text}`,
  );
  return `Why: ${parts.join('; ')}.`;
}

function joinReasons(reasons: readonly StepReason[], show: (text: string) => string): string {
  const clauses = reasons
    .map((reason) => describeReason(reason, show))
    .filter((text) => text !== '');
  const shown = clauses.slice(0, MAX_REASONS);
  const rest = clauses.length - shown.length;
  return [...shown, ...(rest > 0 ? [`${rest} more`] : [])].join('; ');
}

function describeReason(reason: StepReason, show: (text: string) => string): string {
  switch (reason.kind) {
    case 'setting': {
      const after = reason.after === null ? 'its default' : show(reason.after);
      return `${show(reason.name)} ${show(reason.before)} → ${after} needs a restart`;
    }
    case 'image':
      return `the image changes from ${show(reason.before)} to ${show(reason.after)}`;
    case 'container':
      return 'the options of the container changed';
    case 'grow':
      return `${reason.volume} ${showSize(reason.before)} → ${showSize(reason.after)}`;
    case 'slot-lost':
      return 'its slot lost the WAL it needs';
    case 'wal-removed':
      return `it has changes up to ${show(reason.lsn)}, and the WAL of the primary begins at ${show(reason.oldest)}`;
    case 'wal-archived':
      return `the archive has it, ${showSize(reason.bytes)} to replay`;
    case 'unrelated-timeline':
      return `its data went another way (timeline ${reason.timeline} is not in the history of the primary)`;
    case 'crashed-primary':
      return `its data went another way (it crashed as the primary of timeline ${reason.timeline})`;
    case 'diverged':
      return `its data went another way (it wrote up to ${show(reason.lsn)} on timeline ${reason.timeline}, which the primary left at ${show(reason.end)})`;
    // The description of the step says it.
    case 'missing':
    case 'instance-stopped':
      return '';
    case 'host': {
      // That programs are removed, the description of the step says.
      const parts = reason.parts.filter((part) => part !== 'unused-tools');
      return parts.length === 0
        ? ''
        : `not ready: ${parts.map((part) => HOST_PARTS[part]).join(', ')}`;
    }
    case 'unobservable':
      return 'what its volume holds, or what it runs, cannot be observed yet';
    case 'no-cluster':
      return 'no node holds data';
    case 'no-data':
      return 'it holds no data';
    case 'unfinished-copy':
      return 'an earlier copy did not finish';
    case 'copy-runs':
    case 'copy-outlived':
    case 'copy-failed':
    case 'stray-copy':
    case 'no-replica-to-copy':
      return describeCopyReason(reason, show);
    case 'down':
      return 'its PostgreSQL is down';
    case 'not-streaming':
      return 'it runs and does not stream';
    case 'other-upstream':
      return 'it still follows another node';
    case 'no-primary':
      return 'no node is the primary';
    case 'may-be-primary':
      return 'its container runs and its PostgreSQL does not answer, so it may still be the primary';
    case 'left-fenced':
      return 'an interrupted switchover left it fenced';
    case 'overrides-below':
      return `ALTER SYSTEM holds ${reason.settings.map(show).join(', ')} below the primary's value`;
    case 'instance-type':
      return `instance type ${show(reason.before)} → ${show(reason.after)}`;
    case 'leaves':
      return `${show(reason.node)} leaves`;
    case 'quorum':
      return `commits wait for ${countNoun(reason.after, 'replica')} instead of ${reason.before}`;
    case 'before-restarts':
      return 'a restart follows';
    case 'slots':
      return [
        ...describeSlots(reason.missing, 'missing', show),
        ...describeSlots(reason.retired, 'not needed any more', show),
      ].join('; ');
    case 'configuration':
      return reason.parts.map((part) => CONFIGURATION_PARTS[part]).join('; ');
    case 'wanted-primary':
      return `${show(reason.node)} was asked for as primary`;
    case 'primary-last':
      return `the primary changes last, so ${show(reason.successor)} takes over first`;
    case 'slot-copies':
      return 'it takes over next, and has no copies of the logical slots yet';
    case 'replacement':
      return `a new instance of ${show(reason.node)} was asked for`;
    case 'archive':
      return ARCHIVE_CHANGES[reason.change];
    case 'no-backup':
      return 'there is no full backup';
    case 'wal-dropped':
      return `${countNoun(reason.files, 'WAL file')} did not reach the archive since the newest full backup`;
    case 'failover':
      return reason.primary === null
        ? 'a failover was asked for'
        : `a failover from ${show(reason.primary)} was asked for`;
  }
}

/** `20 GiB`, `15.9 GiB`. */
const showSize = (bytes: number): string => formatBytes(bytes).replace('.0 ', ' ');

function describeSlots(
  slots: readonly string[],
  state: string,
  show: (text: string) => string,
): string[] {
  if (slots.length === 0) return [];
  const names = listSome(slots.map(show), MAX_SLOTS);
  return [slots.length === 1 ? `slot ${names} is ${state}` : `slots ${names} are ${state}`];
}

const HOST_PARTS: Readonly<Record<Exclude<HostPart, 'unused-tools'>, string>> = {
  'ssh-keys': 'SSH keys',
  docker: 'Docker',
  volume: 'data volume',
  image: 'image',
  'backup-tools': 'pgBackRest',
};

const ARCHIVE_CHANGES = {
  // The description of the step says it.
  begins: '',
  ends: '',
  repository: 'backups are kept elsewhere from now on',
  options: 'the options or the schedule of backups change',
} as const;

const CONFIGURATION_PARTS: Readonly<Record<ConfigurationPart, string>> = {
  'postgresql.conf': 'postgresql.conf changes',
  'pg_hba.conf': 'pg_hba.conf changes',
  passwords: 'passwords change',
  'not-loaded': 'its files were not reread',
  'leftover-slots': 'it keeps slots from its time as primary',
};
