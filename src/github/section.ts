import { MARKER_PREFIX, renderHiddenLine } from './marker.ts';
import { isLater, isSameRun, type Run, readStamp, renderStamp } from './run-stamp.ts';

/** A cluster's part of a shared comment. */
export interface Section {
  /** Identifies the cluster. */
  readonly identity: string;
  /** The run that wrote it; null if a person removed the stamp. */
  readonly run: Run | null;
  /** Whether it is the last report of its run. */
  readonly isFinal: boolean;
  /** Markdown. */
  readonly body: string;
}

/**
 * Returns the sections of all comments (oldest first) and those recorded elsewhere, one per cluster: the later run's, of one
 * run the last report.
 */
export function collectSections(
  comments: readonly string[],
  recorded: readonly Section[] = [],
): Section[] {
  const latest = new Map<string, Section>();
  for (const section of comments.flatMap(parseSections)) {
    const known = latest.get(section.identity) ?? null;
    latest.set(section.identity, pickLater(known, section));
  }
  for (const section of recorded) {
    const known = latest.get(section.identity) ?? null;
    // The cluster may have shortened its last report, or have said more in it.
    if (known?.isFinal && isOfSameRun(known, section)) continue;
    latest.set(section.identity, pickLater(known, section));
  }
  return [...latest.values()];
}

/** Returns the text of the later run, of one run its last report, and else `next`. */
export function pickLater<T extends { readonly run: Run | null; readonly isFinal?: boolean }>(
  known: T | null,
  next: T,
): T {
  if (known === null || known.run === null) return next;
  if (next.run === null || isLater(known.run, next.run)) return known;
  return known.isFinal && !next.isFinal && isOfSameRun(known, next) ? known : next;
}

const isOfSameRun = (a: { run: Run | null }, b: { run: Run | null }): boolean =>
  a.run !== null && b.run !== null && isSameRun(a.run, b.run);

const BEGIN = new RegExp(`^${MARKER_PREFIX} begin: (\\S+) -->$`);
const END = new RegExp(`^${MARKER_PREFIX} end: (\\S+) -->$`);
/** Releases before it was introduced keep it as a part of the body. */
const FINAL = renderHiddenLine('state', 'final');

/** Parses the sections. People can edit comments: a section without an end ends where the next one begins. */
export function parseSections(text: string): Section[] {
  const sections: { identity: string; lines: string[] }[] = [];
  let open: { identity: string; lines: string[] } | null = null;
  for (const line of splitLines(text)) {
    const begun = BEGIN.exec(line)?.[1];
    if (begun !== undefined) {
      open = { identity: begun, lines: [] };
      sections.push(open);
    } else if (open !== null && END.exec(line)?.[1] === open.identity) {
      open = null;
    } else {
      open?.lines.push(line);
    }
  }
  return sections.map(({ identity, lines }) => {
    const run = readStamp(lines[0]);
    const rest = run === null ? lines : lines.slice(1);
    const isFinal = rest[0] === FINAL;
    const body = (isFinal ? rest.slice(1) : rest).join('\n').trim();
    return { identity, run, isFinal, body };
  });
}

/** Returns a section between its hidden lines. */
export function renderSection({ identity, run, isFinal, body }: Section): string {
  const head = [
    renderHiddenLine('begin', identity),
    ...(run === null ? [] : [renderStamp(run)]),
    ...(isFinal ? [FINAL] : []),
  ];
  return `${head.join('\n')}\n${body}\n\n${renderHiddenLine('end', identity)}`;
}

/** Makes markers in a report visible. Reports contain none of their own, so these come from untrusted text. */
export function escapeMarkers(body: string): string {
  return splitLines(body)
    .join('\n')
    .replaceAll(/<!--(?=\s*postgres-cluster-action)/gi, '&lt;!--');
}

const MAX_HEADLINE = 500;

/** Returns the first line of a report, and where the rest is. */
export function cutToHeadline(body: string): string {
  const line = splitLines(body).find((text) => text.trim() !== '') ?? '';
  const headline = Buffer.byteLength(line) <= MAX_HEADLINE ? `${line}\n\n` : '';
  return `${headline}The report does not fit in here: the job summary has it.`;
}

/** Splits a text into lines: GitHub returns line ends as the API or a browser last wrote them. */
export function splitLines(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}
