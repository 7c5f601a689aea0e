import type { StepReason } from '../cluster/rollout/reason.ts';
import type { StepOf } from '../cluster/rollout/step.ts';
import { formatBytes, formatCopied, formatDuration, formatRate } from '../messages/quantities.ts';
import { renderCode } from './markdown.ts';

/** Describes a step that copies data, as a sentence in Markdown. */
export function describeClone(step: StepOf<'clone'>): string {
  const nodes = step.nodes.map(renderCode).join(', ');
  const upstream = step.source === step.primary ? '' : ` from ${renderCode(step.primary)}`;
  return `**Clone** ${nodes} from ${renderCode(step.source)} with \`pg_basebackup\`${describeSize(step)}, then stream${upstream}; the primary keeps running.`;
}

function describeSize({ nodes, neededBytes, maxRate }: StepOf<'clone'>): string {
  const sizes = nodes.flatMap((node) => neededBytes[node] ?? []);
  const largest = Math.max(0, ...sizes);
  const parts = [
    ...(sizes.length === 0
      ? []
      : [`about ${formatBytes(largest)}${nodes.length === 1 ? '' : ' each'}`]),
    ...(maxRate === null ? [] : [`at most ${formatRate(maxRate)}`]),
    ...(maxRate === null || sizes.length === 0
      ? []
      : [`about ${formatDuration(largest / 1024 / maxRate)}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/** The reasons that concern copies. */
export type CopyReason = Extract<
  StepReason,
  { kind: 'copy-runs' | 'copy-outlived' | 'copy-failed' | 'stray-copy' | 'no-replica-to-copy' }
>;

/** Returns why data is copied, or from where, as a clause. `show` renders a value that a node reported. */
export function describeCopyReason(reason: CopyReason, show: (text: string) => string): string {
  switch (reason.kind) {
    case 'copy-runs': {
      if (reason.isComplete) return `a copy of ${show(reason.source)} is complete`;
      const { doneBytes, totalBytes } = reason;
      return `a copy is running: ${formatCopied(doneBytes, totalBytes)}`;
    }
    case 'copy-outlived':
      return `the copy that runs there is of ${show(reason.source)}, which does not follow the primary`;
    case 'copy-failed':
      return reason.problem === null
        ? 'the last copy failed'
        : `the last copy failed: ${show(reason.problem)}`;
    case 'stray-copy':
      return 'a copy that is not needed runs there, and is ended';
    case 'no-replica-to-copy':
      return 'no replica can be copied now, so the primary is';
  }
}
