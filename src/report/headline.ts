import type { PlanCounts } from '../terraform/plan.ts';
import { renderCode } from './markdown.ts';

/** What there is to know, in a line. */
export interface Headline {
  /** An emoji. */
  readonly emoji: string;
  readonly cluster: string;
  /** Words of ours. */
  readonly text: string;
}

/** The first line of a report, short enough for a phone; Markdown. */
export function renderHeadline({ emoji, cluster, text }: Headline): string {
  return `### ${emoji} ${renderCode(cluster)} ${text}`;
}

/** The same as plain text, for the title of a check run. */
export function renderTitle({ text }: Headline): string {
  return text.length <= MAX_TITLE_LENGTH ? text : `${text.slice(0, MAX_TITLE_LENGTH - 1)}…`;
}

const MAX_TITLE_LENGTH = 120;

/**
 * `1 to replace, 3 to add`, or once it is done `1 replaced, 3 added`; '' when no resource changes.
 * Zeros are not said, and what can hurt comes first.
 */
export function summarizeCounts(counts: PlanCounts, tense: 'ahead' | 'done' = 'ahead'): string {
  return COUNT_WORDS.filter(([name]) => counts[name] > 0)
    .map(([name, ahead, done]) => `${counts[name]} ${tense === 'done' ? done : `to ${ahead}`}`)
    .join(', ');
}

const COUNT_WORDS: readonly (readonly [keyof PlanCounts, string, string])[] = [
  ['destroy', 'destroy', 'destroyed'],
  ['replace', 'replace', 'replaced'],
  ['add', 'add', 'added'],
  ['change', 'change', 'changed'],
  ['move', 'move', 'moved'],
  ['import', 'import', 'imported'],
  ['forget', 'forget', 'forgotten'],
];
