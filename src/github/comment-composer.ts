import { MARKER_PREFIX, renderHiddenLine, renderMarker } from './marker.ts';
import { isLater, isSameRun, type Run, readStamp, renderStamp } from './run-stamp.ts';

/** The text of a cluster's comment or section, and its author. */
export interface CommentEntry {
  /** Identifies the cluster. */
  readonly identity: string;
  readonly run: Run;
  /** Markdown, without hidden lines. */
  readonly body: string;
  /** Replaces a `body` that does not fit; null: its first line does. */
  readonly short: string | null;
  /** Replace only a text of the same run. */
  readonly onlyOwn: boolean;
}

/** Why an entry is not written. */
export type Refusal =
  /** A later run has written. */
  | { readonly outcome: 'superseded'; readonly by: number }
  /** The existing text is another run's, or there is no text (null). */
  | { readonly outcome: 'foreign'; readonly by: number | null };

/** The new text of a comment. */
export interface ComposedComment {
  /** The whole text. If the entry is refused: the existing text. */
  readonly text: string;
  readonly refusal: Refusal | null;
  /** Whether the entry was shortened. */
  readonly shortened: boolean;
}

/** Finds and composes comments of a kind. */
export interface CommentComposer {
  /** The first line, which identifies the comment. */
  readonly marker: string;
  /**
   * Returns the text of the one comment that remains, merged from all existing ones (oldest first).
   *
   * @throws Error if even the shortest form does not fit
   */
  compose(found: readonly string[], entry: CommentEntry): ComposedComment;
}

/** GitHub's limit, in characters. Bytes are counted here, which are at least as many. */
const COMMENT_LIMIT = 65_536;

/** Up to this size in bytes, a shared comment has the reports of all clusters in full. */
export const SHARED_LIMIT = COMMENT_LIMIT - 16_384;

/** Up to this size it has short reports: the rest is for the headlines of the last clusters. */
const SHARED_SHORT_LIMIT = COMMENT_LIMIT - 8_192;

/** Size limits in bytes with the full body and with the short form; a headline may use GitHub's limit. */
interface Limits {
  readonly full: number;
  readonly short: number;
}

/** Returns the composer of a cluster's own comment. */
export function createSingleComposer(identity: string): CommentComposer {
  const marker = renderMarker(identity);
  return {
    marker,
    compose(found, entry) {
      const comments = found.map((text) => ({ text, run: readStamp(splitLines(text)[1]) }));
      const latest = comments.reduce<(typeof comments)[number] | null>(pickLater, null);
      const refusal = findRefusal(latest?.run ?? null, entry);
      if (refusal !== null) return { text: latest?.text ?? '', refusal, shortened: false };
      const render = (body: string) => `${marker}\n${renderStamp(entry.run)}\n${body}`;
      return fitForm(entry, { limits: { full: COMMENT_LIMIT, short: COMMENT_LIMIT }, render });
    },
  };
}

/** Identity of a shared comment. */
const SHARED_IDENTITY = 'shared';

/** Returns the composer of a comment with one section per cluster. */
export function createSharedComposer(): CommentComposer {
  const marker = renderMarker(SHARED_IDENTITY);
  const renderAll = (sections: readonly Section[]) =>
    [marker, ...sections.toSorted(compareIdentities).map(renderSection)].join('\n\n');
  return {
    marker,
    compose(found, entry) {
      const sections = collectSections(found);
      const others = sections.filter(({ identity }) => identity !== entry.identity);
      const own = sections.find(({ identity }) => identity === entry.identity);
      const refusal = findRefusal(own?.run ?? null, entry);
      if (refusal !== null) return { text: renderAll(sections), refusal, shortened: false };
      const { identity, run } = entry;
      const render = (body: string) =>
        renderAll([...others, { identity, run, body: escapeMarkers(body).trim() }]);
      return fitForm(entry, { limits: { full: SHARED_LIMIT, short: SHARED_SHORT_LIMIT }, render });
    },
  };
}

function findRefusal(stamp: Run | null, { run, onlyOwn }: CommentEntry): Refusal | null {
  if (stamp !== null && isLater(stamp, run)) return { outcome: 'superseded', by: stamp.id };
  if (!onlyOwn || (stamp !== null && isSameRun(stamp, run))) return null;
  return { outcome: 'foreign', by: stamp?.id ?? null };
}

/** Returns the fullest form that fits. */
function fitForm(
  { identity, body, short }: CommentEntry,
  { limits, render }: { limits: Limits; render: (body: string) => string },
): ComposedComment {
  const forms = [
    { form: body, limit: limits.full, shortened: false },
    { form: short ?? body, limit: limits.short, shortened: short !== null },
    { form: cutToHeadline(short ?? body), limit: COMMENT_LIMIT, shortened: true },
  ];
  for (const { form, limit, shortened } of forms) {
    const text = render(form);
    if (Buffer.byteLength(text) <= limit) return { text, refusal: null, shortened };
  }
  throw new Error(
    `The comment has no room left for ${identity}: GitHub allows ${COMMENT_LIMIT} characters. Give each cluster a comment of its own (comment: own).`,
  );
}

const MAX_HEADLINE = 500;

function cutToHeadline(body: string): string {
  const line = splitLines(body).find((text) => text.trim() !== '') ?? '';
  const headline = Buffer.byteLength(line) <= MAX_HEADLINE ? `${line}\n\n` : '';
  return `${headline}The report does not fit in here: the job summary has it.`;
}

/** A cluster's part of a shared comment. */
interface Section {
  readonly identity: string;
  /** Null if a person removed the stamp. */
  readonly run: Run | null;
  readonly body: string;
}

/** Returns the sections of all comments; of two sections of a cluster, the later run's. */
function collectSections(comments: readonly string[]): Section[] {
  const latest = new Map<string, Section>();
  for (const section of comments.flatMap(parseSections)) {
    const known = latest.get(section.identity) ?? null;
    latest.set(section.identity, pickLater(known, section));
  }
  return [...latest.values()];
}

function pickLater<T extends { readonly run: Run | null }>(known: T | null, next: T): T {
  if (known === null || known.run === null) return next;
  return next.run === null || isLater(known.run, next.run) ? known : next;
}

const BEGIN = new RegExp(`^${MARKER_PREFIX} begin: (\\S+) -->$`);
const END = new RegExp(`^${MARKER_PREFIX} end: (\\S+) -->$`);

/** Parses the sections. People can edit comments: a section without an end ends where the next one begins. */
function parseSections(text: string): Section[] {
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
  return sections.map(({ identity, lines: [first, ...rest] }) => {
    const run = readStamp(first);
    const lines = run === null ? [first ?? '', ...rest] : rest;
    return { identity, run, body: lines.join('\n').trim() };
  });
}

function renderSection({ identity, run, body }: Section): string {
  const head = [renderHiddenLine('begin', identity), ...(run === null ? [] : [renderStamp(run)])];
  return `${head.join('\n')}\n${body}\n\n${renderHiddenLine('end', identity)}`;
}

/** Makes markers in a report visible. Reports contain none of their own, so these come from untrusted text. */
function escapeMarkers(body: string): string {
  return splitLines(body)
    .join('\n')
    .replaceAll(/<!--(?=\s*postgres-cluster-action)/gi, '&lt;!--');
}

function compareIdentities(a: Section, b: Section): number {
  return a.identity < b.identity ? -1 : 1;
}

/** GitHub returns line ends as the API or a browser last wrote them. */
function splitLines(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}
