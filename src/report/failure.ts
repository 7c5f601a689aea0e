import { byteLength, type Section } from './budget.ts';
import type { DeployState } from './deploy-report.ts';
import type { RunInfo } from './footer.ts';
import { renderFence, renderLink, renderText, shortenText } from './markdown.ts';

/** Renders an error and the next step as Markdown. The middle of the error is cut first. */
export function renderFailure(
  { error, nextStep }: Pick<Extract<DeployState, { state: 'failed' }>, 'error' | 'nextStep'>,
  run: RunInfo,
): Section {
  const next = `**Next:** ${renderText(shortenText(nextStep))} The log is in the ${renderLink('run', run.url)}.`;
  const render = (most: number) => `${renderFence(shortenError(error, most))}\n\n${next}`;
  return {
    shrinkOrder: 5,
    render: (room) => {
      // Invisible characters are written out, so the length is known only after rendering.
      for (let most = MAX_ERROR_LENGTH; most >= 100; most = Math.floor(most / 2)) {
        const text = render(most);
        if (byteLength(text) <= room) return text;
      }
      return next;
    },
  };
}

const MAX_ERROR_LENGTH = 10_000;

/** Cuts the middle of an error: a message begins with what failed and ends with the reason. */
function shortenError(error: string, most: number): string {
  const cut = error.length - most;
  if (cut <= 0) return error;
  const head = Math.floor(most / 5);
  return `${error.slice(0, head)}\n… ${cut} characters left out; the log has them …\n${error.slice(head - most)}`;
}
