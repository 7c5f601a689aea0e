import { compareNames } from '../cluster/node.ts';
import { NOT_PROVED, type NodeProof } from '../cluster/proof.ts';
import type { Step } from '../cluster/rollout/step.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { renderAlert } from './alert.ts';
import {
  byteLength,
  COMMENT_BUDGET,
  fitParts,
  fitSections,
  fixed,
  type Section,
} from './budget.ts';
import { type RunInfo, renderFooter } from './footer.ts';
import { type Headline, renderHeadline, renderTitle, summarizeCounts } from './headline.ts';
import {
  countNoun,
  renderCode,
  renderDetails,
  renderFence,
  renderLink,
  renderText,
  shortenText,
} from './markdown.ts';
import { renderProof } from './proof.ts';
import { renderSteps } from './steps.ts';

/** Work that can be under way, fail or be cancelled. */
export type Phase = 'planning' | 'applying' | 'configuring';

/** Where a deploy, or the plan before it, stands. */
export type DeployState =
  | { readonly state: Phase }
  | {
      readonly state: 'done';
      /** libpq's, without a password. */
      readonly connectionString: string;
      /** How many tasks changed something on the nodes. */
      readonly changes: number;
    }
  | {
      readonly state: 'failed';
      readonly phase: Phase | 'checking the inputs';
      /** Messages as they came, any length. */
      readonly error: string;
      /** A sentence: what to do now. */
      readonly nextStep: string;
    }
  | { readonly state: 'cancelled'; readonly phase: Phase }
  /** What takes no server down was done and proved; the rest waits for nodes that are away. The warnings name it. */
  | { readonly state: 'incomplete'; readonly away: readonly string[] }
  /** What would be applied is not what was reviewed. */
  | {
      readonly state: 'changed';
      /** A sentence each, any number. */
      readonly differences: readonly string[];
      /** A sentence: what to do now. */
      readonly nextStep: string;
    }
  /** Another run has taken over; a sentence says which. */
  | { readonly state: 'superseded'; readonly by: string }
  /** The pull request was closed without a merge. */
  | { readonly state: 'not-applied' }
  /** The pull request comes from a fork, and nobody has asked for a plan of its last commit. */
  | {
      readonly state: 'awaiting';
      /** The label that asks for one; null where no fork's pull request is planned. */
      readonly label: string | null;
      /** Full SHA of the commit that would be planned. */
      readonly commit: string;
    };

/** The review that a deploy goes by. */
export interface ReviewInfo {
  /** Full SHA of the commit that was planned. */
  readonly commit: string;
  /** Its signature was checked. */
  readonly signed: boolean;
  /** An apply of it had begun, and this is what was left of it. */
  readonly partly: boolean;
}

/** What a merge does, or did, to a cluster. */
export interface DeployReport {
  /** Cluster name. */
  readonly cluster: string;
  readonly progress: DeployState;
  /** Null before there is one. */
  readonly plan: PlanSummary | null;
  /** The rollout, null before it is decided. */
  readonly steps: readonly Step[] | null;
  /** Empty before the end. */
  readonly proof: readonly NodeProof[];
  /** The review that it goes by; null where there is none. */
  readonly reviewed: ReviewInfo | null;
  /** What people should know of what was done, by node. What is to be typed stands in backquotes. */
  readonly notes: readonly { readonly node: string; readonly note: string }[];
  /** Sentences. */
  readonly warnings: readonly string[];
  readonly run: RunInfo;
}

/** The comment on a deploy: Markdown within `budget` bytes, without the marker it is found by. */
export function renderDeployComment(report: DeployReport, budget = COMMENT_BUDGET): string {
  return fitSections(listDeploySections(report), budget);
}

/** Headline and footer, for where there is room for no more; Markdown. */
export function renderDeployShort(report: DeployReport): string {
  return fitSections(
    [fixed(renderHeadline(buildHeadline(report))), fixed(renderFooter(report.run))],
    COMMENT_BUDGET,
  );
}

/** The headline as plain text on one line. */
export function renderDeployTitle(report: DeployReport): string {
  return renderTitle(buildHeadline(report));
}

/** A deploy's sections in reading order. */
export function listDeploySections(report: DeployReport): Section[] {
  const { progress, run, proof } = report;
  return [
    fixed(renderHeadline(buildHeadline(report))),
    progress.state === 'failed' ? renderFailure(progress, run) : fixed(''),
    progress.state === 'changed' ? renderDifferences(progress, run) : fixed(''),
    fixed(renderRemark(progress)),
    renderProof(proof, { shrinkOrder: 3 }),
    fixed(progress.state === 'done' ? renderConnection(progress.connectionString) : ''),
    renderAlert('WARNING', {
      items: report.warnings.map((text) => renderText(shortenText(text))),
      shrinkOrder: 2,
    }),
    renderAlert('NOTE', { items: groupNotes(report.notes).map(renderNote), shrinkOrder: 2 }),
    WITHOUT_WORK.includes(progress.state) ? fixed('') : renderWork(report),
    fixed(renderFooter(run)),
  ];
}

const WITHOUT_WORK: readonly DeployState['state'][] = ['not-applied', 'superseded', 'awaiting'];

const EMOJI = {
  planning: '⏳',
  applying: '🏗️',
  configuring: '🔧',
  done: '✅',
  failed: '❌',
  cancelled: '⏹️',
  incomplete: '⚠️',
  changed: '🛑',
  superseded: '⏭️',
  'not-applied': '💤',
  awaiting: '🔒',
} as const;

function buildHeadline({ cluster, progress, proof }: DeployReport): Headline {
  const emoji = EMOJI[progress.state];
  return { emoji, cluster, text: describeState(progress, proof) };
}

function describeState(progress: DeployState, proof: readonly NodeProof[]): string {
  switch (progress.state) {
    case 'planning':
    case 'applying':
    case 'configuring':
      return `${progress.state} …`;
    case 'done': {
      const replicas = proof.filter(({ state }) => state === 'streaming').length;
      const text = replicas === 0 ? 'primary runs' : `${countNoun(replicas, 'replica')} streaming`;
      const away = proof.filter(({ state }) => state === NOT_PROVED);
      const leftOut = away.map(({ name }) => name).join(', ');
      return `done · ${text}${leftOut === '' ? '' : ` · ${leftOut} left out`}`;
    }
    case 'incomplete':
      return `done in part · the rest waits for ${progress.away.join(', ')}`;
    case 'failed':
    case 'cancelled':
      return `${progress.state} while ${progress.phase}`;
    case 'changed':
      return 'stopped · not what was reviewed';
    case 'superseded':
      return 'superseded';
    case 'not-applied':
      return 'not applied';
    case 'awaiting':
      return progress.label === null ? 'not planned' : 'waits to be planned';
  }
}

function renderRemark(progress: DeployState): string {
  switch (progress.state) {
    case 'not-applied':
      return 'The pull request was closed without a merge. Nothing was applied.';
    case 'cancelled':
      return progress.phase === 'planning'
        ? 'Nothing was applied.'
        : 'What was done until then stays as it is. Run the job again: it looks at what is there and does the rest.';
    case 'incomplete':
      return 'Only steps that take no other server down were done. Bring back what is named below and run the job again: it does the rest.';
    case 'superseded':
      return renderText(progress.by);
    case 'awaiting':
      return renderAwaiting(progress);
    default:
      return '';
  }
}

function renderAwaiting({ label, commit }: Extract<DeployState, { state: 'awaiting' }>): string {
  const why =
    'This pull request comes from a fork. A plan uses the cluster’s credentials and shows its infrastructure, so nothing was planned.';
  return label === null
    ? `${why} The input \`allow-plan-label\` names no label, so nobody can ask for a plan. Push the commits to a branch of this repository to have them planned.`
    : `${why} Somebody with write access asks for a plan of ${renderCode(commit.slice(0, 7))} with the label ${renderCode(label)}; after another push, take the label off and put it on again.`;
}

/** What differs stands unfolded: somebody has to decide on it. */
function renderDifferences(
  { differences, nextStep }: Extract<DeployState, { state: 'changed' }>,
  run: RunInfo,
): Section {
  const items = differences.map((difference) => `- ${renderText(shortenText(difference))}`);
  const render = (count: number) =>
    [
      'What would be applied now is not what was reviewed:',
      items.slice(0, count).join('\n'),
      count < items.length
        ? `… and ${items.length - count} more, in the log of the ${renderLink('run', run.url)}.`
        : '',
      `**Next:** ${renderText(nextStep)}`,
    ]
      .filter((text) => text !== '')
      .join('\n\n');
  const most = Math.min(items.length, MAX_DIFFERENCES);
  return { shrinkOrder: 4, render: (room) => fitParts(most, { room, render }) };
}

/** More are for the log. */
const MAX_DIFFERENCES = 50;

function renderFailure(
  { error, nextStep }: Extract<DeployState, { state: 'failed' }>,
  run: RunInfo,
): Section {
  const next = `**Next:** ${renderText(shortenText(nextStep))} The log is in the ${renderLink('run', run.url)}.`;
  const render = (most: number) => `${renderFence(shortenError(error, most))}\n\n${next}`;
  return {
    shrinkOrder: 5,
    render: (room) => {
      // What is invisible is written out, so how long it gets is found by trying.
      for (let most = MAX_ERROR_LENGTH; most >= 100; most = Math.floor(most / 2)) {
        const text = render(most);
        if (byteLength(text) <= room) return text;
      }
      return next;
    },
  };
}

const MAX_ERROR_LENGTH = 10_000;

/** What failed stands at the beginning of messages, why at their end: the middle gives way. */
function shortenError(error: string, most: number): string {
  const cut = error.length - most;
  if (cut <= 0) return error;
  const head = Math.floor(most / 5);
  return `${error.slice(0, head)}\n… ${cut} characters left out; the log has them …\n${error.slice(head - most)}`;
}

function renderConnection(connectionString: string): string {
  return `Connect (the password is the \`postgres-password\` secret):\n\n${renderFence(connectionString)}`;
}

/** What several nodes say in the same words is one item. */
function groupNotes(notes: DeployReport['notes']): { nodes: string[]; note: string }[] {
  const groups = new Map<string, string[]>();
  for (const { node, note } of notes) groups.set(note, [...(groups.get(note) ?? []), node]);
  return [...groups].map(([note, nodes]) => ({
    nodes: [...new Set(nodes)].sort(compareNames),
    note,
  }));
}

/** A note's text, with what stands in backquotes as code. A backquote that is not one of a pair is text. */
function renderNote({ nodes, note }: { nodes: readonly string[]; note: string }): string {
  const parts = shortenText(note, MAX_NOTE_LENGTH).split(/`([^`]+)`/);
  // A part is no beginning of a block, whatever it begins with.
  const text = parts.map((part, index) =>
    index % 2 === 0 ? renderInline(part) : renderCode(part),
  );
  return `${nodes.map(renderCode).join(', ')}: ${text.join('')}`;
}

const MAX_NOTE_LENGTH = 2_000;

/** Prose in the middle of a line, with the spaces at its ends. */
function renderInline(text: string): string {
  const [, before = '', inner = '', after = ''] = /^(\s*)(.*?)(\s*)$/s.exec(text) ?? [];
  return `${before && ' '}${inner && renderText(inner)}${after && ' '}`;
}

function renderReview(reviewed: ReviewInfo | null): string {
  if (reviewed === null) return '';
  const commit = renderCode(reviewed.commit.slice(0, 7));
  const what = reviewed.partly
    ? `What was left of the plan reviewed at ${commit}`
    : `As reviewed at ${commit}`;
  return `${what}${reviewed.signed ? ', signature checked' : ''}.`;
}

function renderWork({ plan, steps, progress, reviewed }: DeployReport): Section {
  const phase = 'phase' in progress ? progress.phase : progress.state;
  const applied = ['configuring', 'done', 'incomplete'].includes(phase);
  const lines = [
    plan && (summarizeCounts(plan.counts, applied ? 'done' : 'ahead') || 'no resource changes'),
  ]
    .filter((counts) => counts !== null)
    .map((counts) => `**Infrastructure:** ${counts}`);
  if (progress.state === 'done') {
    const changes =
      progress.changes === 0 ? 'nothing had to change' : countNoun(progress.changes, 'change');
    lines.push(`**Nodes:** ${changes}`);
  }
  const list =
    steps === null || steps.length === 0
      ? ''
      : renderDetails('The database’s steps', renderSteps(steps));
  const render = (fold: string) =>
    [lines.join(' · '), renderReview(reviewed), fold].filter((text) => text !== '').join('\n\n');
  const full = render(list);
  return { shrinkOrder: 1, render: (room) => (byteLength(full) <= room ? full : render('')) };
}
