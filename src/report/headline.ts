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
