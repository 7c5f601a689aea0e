import { toSeconds } from '../messages/times.ts';
import { renderAlert } from './alert.ts';
import { renderBackupsAfter } from './backups.ts';
import {
  byteLength,
  COMMENT_BUDGET,
  fitParts,
  fitSections,
  fixed,
  type Section,
} from './budget.ts';
import { summarizeChanges } from './changes.ts';
import { buildDeployHeadline, renderRemark, renderWorkList } from './deploy-headline.ts';
import type { DeployReport, DeployState, ReviewInfo } from './deploy-report.ts';
import { renderDocs } from './docs.ts';
import { renderFailure } from './failure.ts';
import { type RunInfo, renderFooter } from './footer.ts';
import { renderHeadline, renderTitle } from './headline.ts';
import { renderIgnoredRestore } from './ignored-restore.ts';
import { listLosses } from './losses.ts';
import {
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
      hasBackups: report.backups?.desired != null,
      ...(report.storageAlertPercent && { alertPercent: report.storageAlertPercent }),
    }),
    fixed(renderBackupLine(report)),
    fixed(progress.state === 'done' ? renderConnection(progress) : ''),
    renderAlert('WARNING', {
      items: [
        ...(report.ignoredRestore ? [renderIgnoredRestore(report.ignoredRestore, run)] : []),
        ...listAllowed(report),
        ...report.warnings.map((text) => renderText(shortenText(text))),
      ],
      shrinkOrder: 2,
    }),
    renderAlert('NOTE', { items: renderNotes(report.notes), shrinkOrder: 2 }),
    WITHOUT_WORK.includes(progress.state) ? fixed('') : renderWork(report),
    fixed(renderHelp(report)),
    fixed(renderFooter(run)),
  ];
}

const WITHOUT_WORK: readonly DeployState['state'][] = [
  'not-applied',
  'superseded',
  'gone',
  'awaiting',
];

/** Says, as Markdown, what the merge loses with a permission. */
function listAllowed({ plan, losses }: DeployReport): readonly string[] {
  return plan === null || losses === undefined ? [] : listLosses({ ...losses, plan }).allowed;
}

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

/** Renders the backups at the end of a deploy; '' before it, or without backups. */
function renderBackupLine({ progress, backups, steps, run }: DeployReport): string {
  if (backups === undefined || progress.state !== 'done') return '';
  return renderBackupsAfter(backups, steps ?? [], toSeconds(run.time));
}

/** Renders both connection strings and says which clients use which; a public address changes when its instance stops. */
function renderConnection({
  connectionString,
  publicConnectionString = null,
}: Extract<DeployState, { state: 'done' }>): string {
  const inside = renderFence(connectionString);
  if (publicConnectionString === null) {
    return `Connect from the cluster’s network (the password is the \`postgres-password\` secret):\n\n${inside}`;
  }
  return [
    'Connect (the password is the `postgres-password` secret) from the cluster’s network, by private addresses:',
    inside,
    'From elsewhere, by public addresses, which change when an instance is stopped:',
    renderFence(publicConnectionString),
  ].join('\n\n');
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
  const changes = plan === null ? null : summarizeChanges(plan, applied ? 'done' : 'ahead');
  const isQuiet = progress.state === 'done' && progress.changes === 0 && changes?.length === 0;
  const infrastructure =
    changes === null
      ? ''
      : `**Infrastructure:** ${changes.length === 0 ? 'no changes' : changes.join(', ')}`;
  const list =
    steps === null || steps.length === 0
      ? ''
      : renderDetails('The database’s steps', renderSteps(steps));
  const render = (fold: string) =>
    [isQuiet ? 'Nothing had to change.' : infrastructure, renderReview(reviewed), fold]
      .filter((text) => text !== '')
      .join('\n\n');
  const full = render(list);
  return { shrinkOrder: 1, render: (room) => (byteLength(full) <= room ? full : render('')) };
}

/** Renders where the next thing to do is explained; '' while the deploy runs, or if it needs nobody. */
function renderHelp({ progress, run }: DeployReport): string {
  switch (progress.state) {
    case 'done':
      return renderDocs('How to connect and create roles', run, 'connect');
    case 'failed':
    case 'incomplete':
    case 'cancelled':
      return renderDocs('Troubleshooting', run, 'troubleshooting');
    case 'changed':
    case 'awaiting':
      return renderDocs('From review to merge', run, 'review');
    default:
      return '';
  }
}
