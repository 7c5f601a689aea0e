import { nameRehearsal } from '../cluster/rehearsal.ts';
import { renderFooter } from './footer.ts';
import { renderCode } from './markdown.ts';
import { CANCELLED, PHASE_WORDS, type RehearsalPhase, type RehearsalReport } from './rehearsal.ts';

/**
 * Renders what is said in the issue if the rehearsal ends while its node exists; a new issue has the title, an open one gets
 * the body as a comment. `title` is plain text, `body` Markdown.
 */
export function renderRehearsalRemark(
  { cluster, run }: Pick<RehearsalReport, 'cluster' | 'run'>,
  { phase }: { phase: RehearsalPhase },
): { title: string; body: string } {
  const name = renderCode(nameRehearsal(cluster));
  return {
    title: `Rehearsal not removed: ${cluster}`,
    body: [
      `**The rehearsal of ${renderCode(cluster)} ended while ${PHASE_WORDS[phase]}, and did not remove what it had made.** This happens if its run is cancelled or takes longer than \`timeout-minutes\`. What there is of ${name} is left, and is billed until it is removed: an instance, its volumes, its network. ${CANCELLED}`,
      `**Next:** run the action with \`command: rehearse\`. It first removes what is left, also if ${renderCode(cluster)} has no \`backup\` any more. Then a rehearsal that succeeds closes this issue.`,
      renderFooter(run),
    ].join('\n\n'),
  };
}

/** Why a cluster is rehearsed no more. */
const ENDS = {
  unbacked: 'has no `backup` any more, so there is nothing to rehearse',
  destroyed: 'is destroyed, so there is nothing to rehearse',
} as const;

/** Renders the last comment on the issue of a cluster that is rehearsed no more; Markdown. */
export function renderRehearsalGone(
  { cluster, run }: Pick<RehearsalReport, 'cluster' | 'run'>,
  why: keyof typeof ENDS,
): string {
  return `Nothing of ${renderCode(nameRehearsal(cluster))} is left. ${renderCode(cluster)} ${ENDS[why]}.\n\n${renderFooter(run)}`;
}
