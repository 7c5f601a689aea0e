import { MARKER_PREFIX, renderHiddenLine, renderMarker } from './marker.ts';
import { isLater, isSameRun, type Run, readStamp, renderStamp } from './run-stamp.ts';

/** What is to be said, and by whom. */
export interface CommentEntry {
  /** Tells this cluster from others. */
  readonly identity: string;
  readonly run: Run;
  /** Markdown, without hidden lines. */
  readonly body: string;
  /** What is said where `body` does not fit; null: its first line. */
  readonly short: string | null;
  /** Say it only in place of what the same run said. */
  readonly onlyOwn: boolean;
}

/** Why an entry is not said. */
export type Refusal =
  /** A later run has spoken. */
  | { readonly outcome: 'superseded'; readonly by: number }
  /** What stands there is of another run, or nothing does (null). */
  | { readonly outcome: 'foreign'; readonly by: number | null };

/** What a comment shall say. */
export interface ComposedComment {
  /** All of it. Where the entry is refused: what the others said. */
  readonly text: string;
  readonly refusal: Refusal | null;
  /** Whether the entry is not there in full. */
  readonly shortened: boolean;
}

/** How comments are found and written. */
export interface CommentComposer {
  /** First line of the comment. */
  readonly marker: string;
  /**
   * What is to stand in the one comment that stays, made from all that were found (oldest first).
   *
   * @throws Error where even the shortest form has no room
   */
  compose(found: readonly string[], entry: CommentEntry): ComposedComment;
}

/** GitHub's limit, in characters. Bytes are counted, of which there are at least as many. */
const COMMENT_LIMIT = 65_536;

/** Bytes that the reports of all clusters may have together to stand in a shared comment in full. */
export const SHARED_LIMIT = COMMENT_LIMIT - 16_384;

/** Likewise in short: what is left is for the headlines of those who come last. */
const SHARED_SHORT_LIMIT = COMMENT_LIMIT - 8_192;

/** Bytes that a comment may have with the body in full, and with the short form; a headline has the limit. */
interface Limits {
  readonly full: number;
  readonly short: number;
}

/** A comment of one cluster alone. */
export function createSingleComposer(identity: string): CommentComposer {
  const marker = renderMarker(identity);
  return {
    marker,
    compose(found, entry) {
      const comments = found.map((text) => ({ text, run: readStamp(splitLines(text)[1]) }));
      const latest = comments.reduce<(typeof comments)[number] | null>(pickLater, null);
      const refusal = refuse(latest?.run ?? null, entry);
      if (refusal !== null) return { text: latest?.text ?? '', refusal, shortened: false };
      const render = (body: string) => `${marker}\n${renderStamp(entry.run)}\n${body}`;
      return fitForm(entry, { room: { full: COMMENT_LIMIT, short: COMMENT_LIMIT }, render });
    },
  };
}

/** What a shared comment is found by. */
const SHARED_IDENTITY = 'shared';

/** A comment with a section a cluster. */
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
      const refusal = refuse(own?.run ?? null, entry);
      if (refusal !== null) return { text: renderAll(sections), refusal, shortened: false };
      const { identity, run } = entry;
      const render = (body: string) =>
        renderAll([...others, { identity, run, body: escapeMarkers(body).trim() }]);
      return fitForm(entry, { room: { full: SHARED_LIMIT, short: SHARED_SHORT_LIMIT }, render });
    },
  };
}

function refuse(stamp: Run | null, { run, onlyOwn }: CommentEntry): Refusal | null {
  if (stamp !== null && isLater(stamp, run)) return { outcome: 'superseded', by: stamp.id };
  if (!onlyOwn || (stamp !== null && isSameRun(stamp, run))) return null;
  return { outcome: 'foreign', by: stamp?.id ?? null };
}

/** The fullest form that has room. */
function fitForm(
  { identity, body, short }: CommentEntry,
  { room, render }: { room: Limits; render: (body: string) => string },
): ComposedComment {
  const forms = [
    { form: body, most: room.full, shortened: false },
    { form: short ?? body, most: room.short, shortened: short !== null },
    { form: cutToHeadline(short ?? body), most: COMMENT_LIMIT, shortened: true },
  ];
  for (const { form, most, shortened } of forms) {
    const text = render(form);
    if (Buffer.byteLength(text) <= most) return { text, refusal: null, shortened };
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

/** The part of a shared comment that is one cluster's. */
interface Section {
  readonly identity: string;
  /** Null where somebody took the stamp out. */
  readonly run: Run | null;
  readonly body: string;
}

/** The sections of all comments; of two of one cluster the later run's. */
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

/** People can edit comments: a section without an end goes on to the next one's beginning. */
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

/** Reports hide no lines of their own; whatever looks like ours came in with a text and is shown instead. */
function escapeMarkers(body: string): string {
  return splitLines(body)
    .join('\n')
    .replaceAll(/<!--(?=\s*postgres-cluster-action)/gi, '&lt;!--');
}

function compareIdentities(a: Section, b: Section): number {
  return a.identity < b.identity ? -1 : 1;
}

/** GitHub gives line ends back as they were last written, by API or by browser. */
function splitLines(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}
