import { z } from 'zod';
import { quoteValue } from '../messages/quote-value.ts';

/** Tags that the cluster sets itself. */
const OWN_TAGS = [
  'Architecture',
  'Cluster',
  'ManagedBy',
  'Name',
  'Node',
  'RehearsalOf',
  'SnapshotsOf',
];
/** A resource has at most 50 tags (EC2 User Guide, "Tag restrictions"); the others are left to the cluster and AWS. */
const MAX_TAGS = 40;
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+@-]*$/u;

/** Records drop a tag of this name silently, so it is refused. */
const DROPPED = '__proto__';

/** Additional tags by key. A problem of one tag has its key as path. */
export const tagMap = () =>
  z.preprocess((tags, context) => {
    if (typeof tags === 'object' && tags !== null && Object.hasOwn(tags, DROPPED)) {
      const message = `The key ${quoteValue(DROPPED)} cannot be used. Rename it.`;
      context.addIssue({ code: 'custom', message, path: [DROPPED] });
    }
    return tags;
  }, tagRecord());

const tagRecord = () =>
  z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]), {
      error: ({ input }) =>
        `Allowed: a line key=value per tag, or a map in a file, e.g. Team=orders.${explainLines(input)}`,
    })
    .transform((tags) =>
      Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, String(value)])),
    )
    .superRefine((tags, context) => {
      const refuse = (message: string, path: string[] = []) =>
        context.addIssue({ code: 'custom', message, path });
      const entries = Object.entries(tags);
      if (entries.length > MAX_TAGS) {
        refuse(`Found ${entries.length} tags. Allowed: at most ${MAX_TAGS}.`);
      }
      for (const [key, value] of entries) {
        const problem = findProblem(key, value);
        if (problem !== null) refuse(problem, [key]);
      }
    })
    .meta({ maxProperties: MAX_TAGS });

function findProblem(key: string, value: string): string | null {
  const name = quoteValue(key);
  if (OWN_TAGS.includes(key)) return `The cluster sets the tag ${name} itself. Remove it.`;
  if (key === '' || key.length > 128 || !TAG_TEXT.test(key)) {
    return `The key ${name} is not one of EC2. Allowed: 1 to 128 letters, digits, spaces and _ . : / = + - @, e.g. Team.`;
  }
  if (/^aws:/i.test(key)) return `The key ${name} begins with aws:, which AWS reserves. Rename it.`;
  if (value.length > 256 || !TAG_TEXT.test(value)) {
    return `The value of ${name} is not one of EC2. Allowed: at most 256 letters, digits, spaces and _ . : / = + - @, e.g. orders.`;
  }
  return null;
}

/** Reads one `key=value` per line; null if a line is not one, or a key is given twice. */
export function readTagLines(lines: string): Record<string, string> | null {
  const { tags, problem } = parseTagLines(lines);
  return problem === null ? Object.fromEntries(tags) : null;
}

/** Returns what is wrong with the lines, with a leading space; '' if they are lines of tags or no text at all. */
function explainLines(input: unknown): string {
  const problem = typeof input === 'string' ? parseTagLines(input).problem : null;
  return problem === null ? '' : ` ${problem}`;
}

function parseTagLines(lines: string): { tags: Map<string, string>; problem: string | null } {
  const tags = new Map<string, string>();
  for (const [index, line] of lines.split('\n').entries()) {
    if (line.trim() === '') continue;
    const at = line.indexOf('=');
    if (at === -1) return { tags, problem: `Line ${index + 1} has no =.` };
    const key = line.slice(0, at).trim();
    if (tags.has(key)) {
      return {
        tags,
        problem: `Line ${index + 1} gives ${quoteValue(key)} again. Keep one of them.`,
      };
    }
    tags.set(key, line.slice(at + 1).trim());
  }
  return { tags, problem: null };
}
