import { NOT_PROVED, type NodeProof } from '../cluster/proof.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { summarizeBackupSteps } from './backup-steps.ts';
import type { DeployReport, DeployState } from './deploy-report.ts';
import type { Headline } from './headline.ts';
import { countNoun, renderCode, renderText } from './markdown.ts';
import { describeWork, explainContinuing } from './progress.ts';

const EMOJI = {
  planning: '⏳',
  applying: '🏗️',
  configuring: '🔧',
  done: '✅',
  failed: '❌',
  cancelled: '⏹️',
  continuing: '⌛',
  incomplete: '⚠️',
  changed: '🛑',
  superseded: '⏭️',
  gone: '⏭️',
  'not-applied': '💤',
  awaiting: '🔒',
} as const;

/** Builds the headline of a deploy. */
export function buildDeployHeadline({ cluster, progress, proof, steps }: DeployReport): Headline {
  const emoji = EMOJI[progress.state];
  return { emoji, cluster, text: describeState(progress, { proof, steps: steps ?? [] }) };
}

function describeState(
  progress: DeployState,
  { proof, steps }: { proof: readonly NodeProof[]; steps: readonly Step[] },
): string {
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
      const parts = ['done', ...summarizeBackupSteps(steps), text];
      return [...parts, ...(leftOut === '' ? [] : [`${leftOut} left out`])].join(' · ');
    }
    case 'continuing':
      return `continues without this run · ${progress.nodes.join(', ')} at work`;
    case 'incomplete':
      return `done in part · the rest waits for ${progress.away.join(', ')}`;
    case 'failed':
    case 'cancelled':
      return `${progress.state} while ${progress.phase}`;
    case 'changed':
      return 'stopped · not what was reviewed';
    case 'superseded':
      return 'superseded';
    case 'gone':
      return 'no cluster to plan';
    case 'not-applied':
      return 'not applied';
    case 'awaiting':
      return progress.label === null ? 'not planned' : 'waits to be planned';
  }
}

/** Returns the prose below the headline as Markdown; '' if the headline says it all. */
export function renderRemark(progress: DeployState): string {
  switch (progress.state) {
    case 'not-applied':
      return 'The pull request was closed without a merge. Nothing was applied.';
    case 'cancelled':
      return progress.phase === 'planning'
        ? 'Nothing was applied.'
        : 'What was done until then stays as it is. Run the job again: it looks at what is there and does the rest.';
    case 'continuing':
      return `\`wait-minutes\` (${progress.minutes}) is over, so this run no longer watches the nodes. ${explainContinuing(progress.run)}`;
    case 'incomplete':
      return 'Only steps that take no other server down were done. Bring back what is named below and run the job again: it does the rest.';
    case 'superseded':
      return renderText(progress.by);
    case 'gone':
      return 'Its state is empty. The merge of this pull request changes nothing.';
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

/** Renders the work of the nodes as Markdown, also what goes on after the end of the run; '' without any. */
export function renderWorkList({
  progress,
  work,
}: Pick<DeployReport, 'progress' | 'work'>): string {
  if (work.length === 0) return '';
  const items = describeWork(work).map((text) => `- ${renderText(text)}`);
  const isEnded = ['cancelled', 'failed'].includes(progress.state);
  return [
    ...(isEnded ? ['The nodes go on with this, and the next deploy continues it:', ''] : []),
    ...items,
  ].join('\n');
}
