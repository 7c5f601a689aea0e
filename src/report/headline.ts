import type { PlanCounts } from '../terraform/plan.ts';
import { renderCode } from './markdown.ts';

/** The summary of a report in one line. */
export interface Headline {
  /** An emoji. */
  readonly emoji: string;
  readonly cluster: string;
  /** Plain text without words of others. */
  readonly text: string;
}

/** Renders the first line of a report, short enough for a phone; Markdown. */
export function renderHeadline({ emoji, cluster, text }: Headline): string {
  return `### ${emoji} ${renderCode(cluster)} ${text}`;
}

/** Returns the same as plain text, for the title of a check run. */
export function renderTitle({ text }: Headline): string {
  return text.length <= MAX_TITLE_LENGTH ? text : `${text.slice(0, MAX_TITLE_LENGTH - 1)}…`;
}

const MAX_TITLE_LENGTH = 120;

/**
 * Returns `1 to replace, 3 to add`, or `1 replaced, 3 added` once done; '' if no resource changes. Zeros are omitted,
 * and destructive changes come first.
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
