import type { NodeVolume } from '../cluster/volume.ts';
import { renderAlert } from './alert.ts';
import { fitSections, fixed, SUMMARY_BUDGET } from './budget.ts';
import { renderFailure } from './failure.ts';
import { type RunInfo, renderFooter } from './footer.ts';
import { type Headline, renderHeadline } from './headline.ts';
import { countNoun, renderCode, renderFence, renderText } from './markdown.ts';

/** The removal of a cluster. */
export interface RemovalReport {
  readonly cluster: string;
  readonly region: string;
  /** Names of the nodes that are destroyed. */
  readonly nodes: readonly string[];
  /** The number of Terraform's resources that are destroyed. */
  readonly resources: number;
  /** The data volumes that are destroyed and leave a last snapshot. */
  readonly volumes: readonly NodeVolume[];
  /** Sentences. */
  readonly warnings: readonly string[];
  readonly progress:
    | { readonly state: 'nothing' }
    | { readonly state: 'done' }
    | { readonly state: 'failed'; readonly error: string; readonly nextStep: string };
  readonly run: RunInfo;
}

/** Renders the job summary of a removal. Markdown. */
export function renderRemovalSummary(report: RemovalReport): string {
  const { cluster, progress, volumes, warnings, run } = report;
  return fitSections(
    [
      fixed(renderHeadline({ cluster, ...buildHeadline(report) })),
      ...(progress.state === 'failed' ? [renderFailure(progress, run)] : []),
      renderAlert('WARNING', { items: warnings.map(renderText), shrinkOrder: 3 }),
      ...(volumes.length === 0 ? [] : [fixed(renderSnapshots(report))]),
      ...(progress.state === 'failed' ? [] : [fixed(renderNext(report))]),
      fixed(renderFooter(run)),
    ],
    SUMMARY_BUDGET,
  );
}

function buildHeadline({
  nodes,
  resources,
  progress,
}: RemovalReport): Pick<Headline, 'emoji' | 'text'> {
  switch (progress.state) {
    case 'nothing':
      return { emoji: '✅', text: 'nothing to destroy · its state is empty' };
    case 'done': {
      const parts = ['destroyed', ...(nodes.length === 0 ? [] : [nodes.join(', ')])];
      return { emoji: '✅', text: [...parts, countNoun(resources, 'resource')].join(' · ') };
    }
    case 'failed':
      return { emoji: '❌', text: 'failed while destroying' };
  }
}

/** Says which volumes leave a snapshot, and how the snapshots are found and deleted. */
function renderSnapshots({ region, volumes, progress }: RemovalReport): string {
  const ids = volumes.map(({ id }) => id);
  const lines = volumes.map(({ node, id }) => `- ${renderCode(id)} of ${node}`);
  const commands = [
    `aws ec2 describe-snapshots --region ${region} --owner-ids self --filters Name=volume-id,Values=${ids.join(',')}`,
    `aws ec2 delete-snapshot --region ${region} --snapshot-id SNAPSHOT`,
  ];
  return [
    progress.state === 'failed'
      ? 'Each of these data volumes leaves a last snapshot when it is destroyed:'
      : 'A last snapshot of each data volume is kept. It is billed until it is deleted.',
    lines.join('\n'),
    'The first command finds the snapshots, the second deletes one:',
    renderFence(commands.join('\n'), 'sh'),
  ].join('\n\n');
}

function renderNext({ cluster }: RemovalReport): string {
  return `**Next:** remove the file of ${renderCode(cluster)} and its job in the workflow. Until then the next deploy builds the cluster again, without data, and the scheduled run reports that it is missing.`;
}
