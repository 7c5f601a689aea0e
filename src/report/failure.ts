import { byteLength, type Section } from './budget.ts';
import type { DeployState } from './deploy-report.ts';
import type { RunInfo } from './footer.ts';
import { renderDetails, renderFence, renderLink, renderText, shortenText } from './markdown.ts';

type Failed = Extract<DeployState, { state: 'failed' }>;

/**
 * Renders an error and the next step as Markdown. `explanation` is prose, which a phone wraps, and stands before the error.
 * Both are cut to fit: the middle of the error, and the ends of the explanations, of which the first stays the longest.
 */
export function renderFailure(
  {
    error,
    explanation = [],
    nextStep,
  }: Pick<Failed, 'error' | 'nextStep'> & Partial<Pick<Failed, 'explanation'>>,
  run: RunInfo,
): Section {
  const next = `**Next:** ${renderText(shortenText(nextStep))} The log is in the ${renderLink('run', run.url)}.`;
  const renderProse = (text: string, most: number) =>
    renderText(shortenText(text, Math.min(most, MAX_SENTENCES)));
  const render = (most: number) =>
    [
      ...explanation.map((text, index) => renderProse(text, index === 0 ? most : most / 2)),
      ...(error === '' ? [] : [renderFence(shortenError(error, most))]),
      next,
    ].join('\n\n');
  const renderLeast = (most: number) =>
    [...explanation.slice(0, 1).map((text) => renderProse(text, most)), next].join('\n\n');
  return {
    shrinkOrder: 5,
    render: (room) => {
      // Invisible characters are written out, so the length is known only after rendering.
      for (const attempt of [render, renderLeast]) {
        for (let most = MAX_ERROR_LENGTH; most >= 100; most = Math.floor(most / 2)) {
          const text = attempt(most);
          if (byteLength(text) <= room) return text;
        }
      }
      return next;
    },
  };
}

/** Renders what ssh said, folded; '' without a message. The log has it, too. */
export function renderTranscripts(transcripts: readonly string[] = []): string {
  return transcripts.length === 0
    ? ''
    : renderDetails('What ssh said', renderFence(transcripts.join('\n\n')));
}

const MAX_ERROR_LENGTH = 10_000;
/** Of one explanation, which may name sixteen nodes. */
const MAX_SENTENCES = 1_200;

/** Cuts the middle of an error: a message begins with what failed and ends with the reason. */
function shortenError(error: string, most: number): string {
  const cut = error.length - most;
  if (cut <= 0) return error;
  const head = Math.floor(most / 5);
  return `${error.slice(0, head)}\n… ${cut} characters left out; the log has them …\n${error.slice(head - most)}`;
}
