import type { NodeProof } from '../cluster/proof.ts';
import type { Step } from '../cluster/step.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { renderAlert } from './alert.ts';
import { COMMENT_BUDGET, fitSections, fixed, type Section } from './budget.ts';
import { renderHeadline, summarizeCounts } from './headline.ts';
import { countNoun, renderDetails, renderFence, renderLink, renderText } from './markdown.ts';
import { renderProof } from './proof.ts';
import { type RunInfo, renderFooter } from './run.ts';
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
      readonly phase: Phase;
      /** Messages as they came, any length. */
      readonly error: string;
      /** A sentence: what to do now. */
      readonly nextStep: string;
    }
  | { readonly state: 'cancelled'; readonly phase: Phase }
  /** The pull request was closed without a merge. */
  | { readonly state: 'not-applied' };

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
  /** Sentences. */
  readonly warnings: readonly string[];
  readonly run: RunInfo;
}

/** The comment on a deploy: Markdown within `COMMENT_BUDGET`, without the marker it is found by. */
export function renderDeployComment(report: DeployReport): string {
  return fitSections(listDeploySections(report), COMMENT_BUDGET);
}

/** A deploy's sections in reading order. */
export function listDeploySections(report: DeployReport): Section[] {
  const { progress, run, proof } = report;
  return [
    fixed(renderDeployHeadline(report)),
    fixed(progress.state === 'failed' ? renderFailure(progress, run) : ''),
    fixed(renderRemark(progress)),
    fixed(proof.length === 0 ? '' : renderProof(proof)),
    fixed(progress.state === 'done' ? renderConnection(progress.connectionString) : ''),
    renderAlert('WARNING', { items: report.warnings.map(renderText), givesWay: 1 }),
    fixed(progress.state === 'not-applied' ? '' : renderWork(report)),
    fixed(renderFooter(run)),
  ];
}

const SIGNS = {
  planning: '⏳',
  applying: '🏗️',
  configuring: '🔧',
  done: '✅',
  failed: '❌',
  cancelled: '⏹️',
  'not-applied': '💤',
} as const;

function renderDeployHeadline({ cluster, progress, proof }: DeployReport): string {
  const sign = SIGNS[progress.state];
  switch (progress.state) {
    case 'planning':
    case 'applying':
    case 'configuring':
      return renderHeadline(sign, cluster, `${progress.state} …`);
    case 'done': {
      const replicas = proof.filter(({ role }) => role === 'replica').length;
      const text = replicas === 0 ? 'primary runs' : `${countNoun(replicas, 'replica')} streaming`;
      return renderHeadline(sign, cluster, `done · ${text}`);
    }
    case 'failed':
      return renderHeadline(sign, cluster, `failed while ${progress.phase}`);
    case 'cancelled':
      return renderHeadline(sign, cluster, `cancelled while ${progress.phase}`);
    case 'not-applied':
      return renderHeadline(sign, cluster, 'not applied');
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
    default:
      return '';
  }
}

function renderFailure(
  { error, nextStep }: Extract<DeployState, { state: 'failed' }>,
  run: RunInfo,
): string {
  const log = renderLink('run', run.url);
  return `${renderFence(shortenError(error))}\n\n**Next:** ${renderText(nextStep)} The log is in the ${log}.`;
}

const ERROR_HEAD = 2_000;
const ERROR_TAIL = 8_000;

/** What failed stands at the beginning of messages, why at their end: the middle gives way. */
function shortenError(error: string): string {
  const cut = error.length - ERROR_HEAD - ERROR_TAIL;
  if (cut <= 0) return error;
  return `${error.slice(0, ERROR_HEAD)}\n… ${cut} characters left out; the log has them …\n${error.slice(-ERROR_TAIL)}`;
}

function renderConnection(connectionString: string): string {
  return `Connect (the password is the \`postgres-password\` secret):\n\n${renderFence(connectionString)}`;
}

function renderWork({ plan, steps, progress }: DeployReport): string {
  const phase = 'phase' in progress ? progress.phase : progress.state;
  const applied = phase === 'configuring' || phase === 'done';
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
  return [lines.join(' · '), list].filter((text) => text !== '').join('\n\n');
}
