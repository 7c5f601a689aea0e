import { CHECK_BUDGET } from './check.ts';
import type { GitHubClient, Repository } from './client.ts';
import { findLogin } from './login.ts';
import { renderHiddenLine } from './marker.ts';
import type { Run } from './run-stamp.ts';
import { escapeMarkers, parseSections, renderSection, type Section } from './section.ts';

// The last report of each cluster stands in the summary of its check run, which only its own run writes. So a section that
// two jobs lost, because both wrote the shared comment at the same time, is found again there.

/** The pull request whose comment has the section, and the commit that the check run belongs to. */
export interface RecordPlace {
  readonly repository: Repository;
  /** Number of the pull request. */
  readonly number: number;
  /** Full SHA. */
  readonly commit: string;
}

/**
 * Returns the summary of a check run that records the last report of a run (Markdown) as its section of the comment on pull
 * request `number`; null if it does not fit.
 */
export function recordSection(
  body: string,
  { number, identity, run }: { number: number; identity: string; run: Run },
): string | null {
  const section = { identity, run, isFinal: true, body: escapeMarkers(body).trim() };
  const summary = `${renderPlace(number)}\n${renderSection(section)}`;
  return Buffer.byteLength(summary) <= CHECK_BUDGET ? summary : null;
}

/**
 * Returns the sections that check runs of the commit recorded for the comment: those that the token's app wrote; none if the
 * token may not read check runs.
 *
 * @throws the API's error for anything else
 */
export async function listRecords(client: GitHubClient, place: RecordPlace): Promise<Section[]> {
  const { repository, number, commit } = place;
  const [login, runs] = await Promise.all([
    findLogin(client),
    // Of check runs with the same name, GitHub returns the latest.
    client.paginate('GET /repos/{owner}/{repo}/commits/{ref}/check-runs', {
      ...repository,
      ref: commit,
      per_page: 100,
    }),
  ]);
  return runs
    .filter(({ app }) => app?.slug !== undefined && `${app.slug}[bot]`.toLowerCase() === login)
    .flatMap(({ output }) => parseRecord(output.summary ?? '', number));
}

function parseRecord(summary: string, number: number): Section[] {
  return summary.startsWith(renderPlace(number)) ? parseSections(summary) : [];
}

const renderPlace = (number: number) => renderHiddenLine('pull', String(number));
