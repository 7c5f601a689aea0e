import { renderAlert } from './alert.ts';
import {
  byteLength,
  COMMENT_BUDGET,
  fitParts,
  fitSections,
  fixed,
  type Section,
} from './budget.ts';
import { buildDeployHeadline, renderRemark, renderWorkList } from './deploy-headline.ts';
import type { DeployReport, DeployState, ReviewInfo } from './deploy-report.ts';
import { renderFailure } from './failure.ts';
import { type RunInfo, renderFooter } from './footer.ts';
import { renderHeadline, renderTitle, summarizeCounts } from './headline.ts';
import {
  countNoun,
  renderCode,
  renderDetails,
  renderFence,
  renderLink,
  renderText,
  shortenText,
} from './markdown.ts';
import { renderNotes } from './notes.ts';
import { renderProof } from './proof.ts';
import { renderSteps } from './steps.ts';

/** Renders the comment on a deploy: Markdown within `budget` bytes, without the marker. */
export function renderDeployComment(report: DeployReport, budget = COMMENT_BUDGET): string {
  return fitSections(listDeploySections(report), budget);
}

/** Renders headline and footer only, for a comment without room for more; Markdown. */
export function renderDeployShort(report: DeployReport): string {
  return fitSections(
    [fixed(renderHeadline(buildDeployHeadline(report))), fixed(renderFooter(report.run))],
    COMMENT_BUDGET,
  );
}

/** Returns the headline as plain text on one line. */
export function renderDeployTitle(report: DeployReport): string {
  return renderTitle(buildDeployHeadline(report));
}

/** Returns a deploy's sections in reading order. */
export function listDeploySections(report: DeployReport): Section[] {
  const { progress, run, proof } = report;
  return [
    fixed(renderHeadline(buildDeployHeadline(report))),
    progress.state === 'failed' ? renderFailure(progress, run) : fixed(''),
    progress.state === 'changed' ? renderDifferences(progress, run) : fixed(''),
    fixed(renderRemark(progress)),
    fixed(renderWorkList(report)),
    renderProof(proof, {
      shrinkOrder: 3,
      ...(report.storageAlertPercent && { alertPercent: report.storageAlertPercent }),
    }),
    fixed(progress.state === 'done' ? renderConnection(progress.connectionString) : ''),
    renderAlert('WARNING', {
      items: report.warnings.map((text) => renderText(shortenText(text))),
      shrinkOrder: 2,
    }),
    renderAlert('NOTE', { items: renderNotes(report.notes), shrinkOrder: 2 }),
    WITHOUT_WORK.includes(progress.state) ? fixed('') : renderWork(report),
    fixed(renderFooter(run)),
  ];
}

const WITHOUT_WORK: readonly DeployState['state'][] = ['not-applied', 'superseded', 'awaiting'];

/** Renders the differences unfolded: a person has to decide on them. */
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

/** The log has the rest. */
const MAX_DIFFERENCES = 50;

function renderConnection(connectionString: string): string {
  return `Connect (the password is the \`postgres-password\` secret):\n\n${renderFence(connectionString)}`;
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
  const applied = ['configuring', 'continuing', 'done', 'incomplete'].includes(phase);
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
