import { renderMarker } from './marker.ts';
import { isLater, isSameRun, type Run, readStamp, renderStamp } from './run-stamp.ts';
import {
  collectSections,
  cutToHeadline,
  escapeMarkers,
  parseSections,
  pickLater,
  renderSection,
  type Section,
  splitLines,
} from './section.ts';

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
  /** Whether it is the last report of its run, which no other run may take for outdated. */
  readonly isFinal: boolean;
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
   * Returns the text of the one comment that remains, merged from all existing ones (oldest first) and from the sections
   * that clusters recorded elsewhere.
   *
   * @throws Error if even the shortest form does not fit
   */
  compose(
    found: readonly string[],
    entry: CommentEntry,
    recorded?: readonly Section[],
  ): ComposedComment;
  /**
   * Returns the cluster's part of a comment; null if it has none. A comment of its own does not say whether it is final: it
   * counts as final.
   */
  readPart(text: string, identity: string): Omit<Section, 'identity'> | null;
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
  const readRun = (text: string) => readStamp(splitLines(text)[1]);
  return {
    marker,
    readPart(text) {
      const body = splitLines(text).slice(2).join('\n').trim();
      return { run: readRun(text), isFinal: true, body };
    },
    compose(found, entry) {
      const comments = found.map((text) => ({ text, run: readRun(text) }));
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
    readPart(text, of) {
      return parseSections(text).find(({ identity }) => identity === of) ?? null;
    },
    compose(found, entry, recorded = []) {
      const sections = limitRecorded(collectSections(found, recorded), recorded);
      const others = sections.filter(({ identity }) => identity !== entry.identity);
      const own = sections.find(({ identity }) => identity === entry.identity);
      // A cancelled run may add a section, which touches no text of another run.
      const isAdded = own === undefined && found.length > 0;
      const refusal = isAdded ? null : findRefusal(own?.run ?? null, entry);
      if (refusal !== null) return { text: renderAll(sections), refusal, shortened: false };
      const { identity, run, isFinal } = entry;
      const render = (body: string) =>
        renderAll([...others, { identity, run, isFinal, body: escapeMarkers(body).trim() }]);
      return fitForm(entry, { limits: { full: SHARED_LIMIT, short: SHARED_SHORT_LIMIT }, render });
    },
  };
}

/** Shortens sections that come from a record while there is no room: their own clusters could not choose a form. */
function limitRecorded(
  sections: readonly Section[],
  recorded: readonly Section[],
): readonly Section[] {
  let size = Buffer.byteLength(sections.map(renderSection).join('\n\n'));
  return sections.map((section) => {
    if (size <= SHARED_LIMIT || !recorded.includes(section)) return section;
    const short = { ...section, body: cutToHeadline(section.body) };
    size -= Buffer.byteLength(section.body) - Buffer.byteLength(short.body);
    return short;
  });
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

function compareIdentities(a: Section, b: Section): number {
  return a.identity < b.identity ? -1 : 1;
}
