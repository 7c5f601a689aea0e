import type { z } from 'zod';
import { UserError } from '../messages/errors.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { reportSchema } from './report-schema.ts';
import { nodeName } from './reported-values.ts';

/** The largest report of one run, in bytes: sixteen nodes that each report as much as is allowed. */
export const RESULT_BYTES = 64 * 1024 * 1024;
/** The number of problems that are shown. */
const MAX_PROBLEMS = 10;

/** The report of one run of a playbook, written by the callback plugin in `playbooks/callback_plugins`. */
export type AnsibleResult = z.infer<typeof reportSchema>;

/**
 * Reads the report of a run on `nodes` (names) and validates every value, because root on a node decides what it
 * reports.
 *
 * @throws UserError that names node, field and value if a value is not one that a node can report
 */
export function parseResult(json: string, { nodes }: { nodes: readonly string[] }): AnsibleResult {
  const document = parseJson(json);
  const result = reportSchema.safeParse(document);
  const problems = result.success
    ? findUnexpectedNodes(result.data, nodes)
    : result.error.issues.map((issue) => describeIssue(issue, document));
  if (result.success && problems.length === 0) return result.data;
  const rest = problems.length - MAX_PROBLEMS;
  throw new UserError([
    ...problems.slice(0, MAX_PROBLEMS),
    ...(rest > 0 ? [`And ${rest} more of the kind.`] : []),
    'Nothing that was reported is used. Nodes that are as this action made them report no such thing: find out who can become root there, or stop the instance, before you run this again.',
  ]);
}

function parseJson(json: string): unknown {
  if (Buffer.byteLength(json) > RESULT_BYTES) throw refuseSize(Buffer.byteLength(json));
  try {
    return JSON.parse(json);
  } catch (error) {
    // The parser's message quotes the report.
    throw new UserError(
      `The nodes' report is not JSON (${Buffer.byteLength(json)} bytes). Run this again; if it stays so, look at the nodes.`,
      { cause: error },
    );
  }
}

/** The error for a report of `bytes` bytes, which exceeds the limit. */
export function refuseSize(bytes: number): UserError {
  return new UserError(
    `The nodes' report has ${bytes} bytes, at most ${RESULT_BYTES} are read. A node reports a few hundred settings and two small files: look at what it does before you run this again.`,
  );
}

/** Only nodes of the run may report, each of them once. */
function findUnexpectedNodes(result: AnsibleResult, nodes: readonly string[]): string[] {
  const { observations, proof: lines, stats, changes, failures, notes, pending } = result;
  const named = [
    ...[...observations, ...lines].map(({ name }) => name),
    ...Object.keys(stats),
    ...[...changes, ...failures, ...notes, ...pending].map(({ node }) => node),
  ];
  const unexpected = [...new Set(named)].filter((name) => !nodes.includes(name));
  const findTwice = (names: readonly string[]) =>
    names.filter((name, index) => names.indexOf(name) < index);
  const twice = [observations, lines].flatMap((list) => findTwice(list.map(({ name }) => name)));
  return [
    ...unexpected.map((name) => `${name}: is in the report and was not asked`),
    ...[...new Set(twice)].map((name) => `${name}: is in the report more than once`),
  ];
}

/** The singular of lists with one entry per node. */
const NOUNS: Readonly<Record<string, string>> = { observations: 'observation' };

/** `node-2: observation.record.digest is "…", expected …`. */
function describeIssue(issue: z.core.$ZodIssue, document: unknown): string {
  const [part, index, ...path] = issue.path;
  const entry = readPath(document, [part, index]) as { name?: unknown; node?: unknown } | undefined;
  const node = part === 'stats' ? index : (entry?.name ?? entry?.node);
  const isKnown = typeof node === 'string' && nodeName.safeParse(node).success;
  const field = isKnown && path.length > 0 ? [NOUNS[String(part)] ?? part, ...path] : issue.path;
  const where = `${isKnown ? node : 'a node'}: ${field.map(quoteKey).join('.')}`;
  if (issue.code === 'invalid_key') {
    return `${where} is such a name, ${issue.issues[0]?.message ?? issue.message}`;
  }
  const found = readPath(document, issue.path);
  return found === undefined
    ? `${where} is missing, ${issue.message}`
    : `${where} is ${showValue(found)}, ${issue.message}`;
}

/** Names of this action as they are, all others quoted. */
function quoteKey(key: PropertyKey | undefined): string {
  return typeof key === 'string' && !/^\w{1,63}$/.test(key) ? quoteValue(key) : String(key);
}

function showValue(value: unknown): string {
  if (typeof value === 'string') return quoteValue(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) {
    return `an object of ${Object.keys(value).length}`;
  }
  return String(value);
}

function readPath(document: unknown, path: readonly (PropertyKey | undefined)[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && key !== undefined && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    document,
  );
}
