import type { PlanCounts } from '../terraform/plan.ts';
import { renderCode } from './markdown.ts';

/** The first line of a report, short enough for a phone: a sign, the cluster, what there is to know. */
export function renderHeadline(sign: string, cluster: string, text: string): string {
  return `### ${sign} ${renderCode(cluster)} ${text}`;
}

/**
 * `1 to replace, 3 to add`, or once it is done `1 replaced, 3 added`; '' when no resource changes.
 * Zeros are not said, and what can hurt comes first.
 */
export function summarizeCounts(counts: PlanCounts, tense: 'ahead' | 'done' = 'ahead'): string {
  return WORDS.filter(([name]) => counts[name] > 0)
    .map(([name, ahead, done]) => `${counts[name]} ${tense === 'done' ? done : `to ${ahead}`}`)
    .join(', ');
}

const WORDS: readonly (readonly [keyof PlanCounts, string, string])[] = [
  ['destroy', 'destroy', 'destroyed'],
  ['replace', 'replace', 'replaced'],
  ['add', 'add', 'added'],
  ['change', 'change', 'changed'],
  ['move', 'move', 'moved'],
  ['import', 'import', 'imported'],
  ['forget', 'forget', 'forgotten'],
];
