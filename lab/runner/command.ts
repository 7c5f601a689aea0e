/** A workflow command: `::name key=value,…::data`, or in its older form `##[name key=value;…]data`. */
export interface Command {
  /** In lower case. */
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly data: string;
}

/** The commands that GitHub's runner knows. */
const known = new Set([
  'add-mask',
  'add-matcher',
  'add-path',
  'debug',
  'echo',
  'endgroup',
  'error',
  'group',
  'notice',
  'remove-matcher',
  'save-state',
  'set-env',
  'set-output',
  'stop-commands',
  'warning',
]);

/** Whether a stop token would be a command itself. */
export function isCommandName(name: string): boolean {
  return known.has(name.toLowerCase());
}

/**
 * Reads a line of output.
 * @param line without its line end
 * @param resume the token that resumes stopped commands; it counts as a command itself
 * @returns the command, or undefined if the line is plain output
 * Source: the runner's ActionCommand: the `::` form only at the start of a line, the `##[` form anywhere.
 */
export function parseCommand(line: string, resume?: string): Command | undefined {
  return parseNew(line, resume) ?? parseOld(line, resume);
}

interface Escapes {
  readonly data: readonly (readonly [string, string])[];
  readonly property: readonly (readonly [string, string])[];
}

const lineEnds = [
  ['%0D', '\r'],
  ['%0A', '\n'],
] as const;
const percent = ['%25', '%'] as const;
const newEscapes: Escapes = {
  data: [...lineEnds, percent],
  property: [...lineEnds, ['%3A', ':'], ['%2C', ','], percent],
};
const oldList = [['%3B', ';'], ...lineEnds, ['%5D', ']'], percent] as const;
const oldEscapes: Escapes = { data: oldList, property: oldList };

function parseNew(line: string, resume: string | undefined): Command | undefined {
  const text = line.trimStart();
  const end = text.startsWith('::') ? text.indexOf('::', 2) : -1;
  if (end < 0) return undefined;
  return build({
    head: text.slice(2, end),
    data: text.slice(end + 2),
    separator: ',',
    escapes: newEscapes,
    resume,
  });
}

function parseOld(line: string, resume: string | undefined): Command | undefined {
  const start = line.indexOf('##[');
  const end = start < 0 ? -1 : line.indexOf(']', start);
  if (end < 0) return undefined;
  return build({
    head: line.slice(start + 3, end),
    data: line.slice(end + 1),
    separator: ';',
    escapes: oldEscapes,
    resume,
  });
}

function build(parts: {
  head: string;
  data: string;
  separator: string;
  escapes: Escapes;
  resume: string | undefined;
}): Command | undefined {
  const { head, separator, escapes } = parts;
  const space = head.indexOf(' ');
  const name = (space < 0 ? head : head.slice(0, space)).toLowerCase();
  if (!known.has(name) && name !== parts.resume?.toLowerCase()) return undefined;
  const properties: Record<string, string> = {};
  const list = space < 0 ? '' : head.slice(space + 1).trim();
  for (const entry of list.split(separator)) {
    const equals = entry.indexOf('=');
    if (equals <= 0 || equals === entry.length - 1) continue;
    properties[entry.slice(0, equals)] = decode(entry.slice(equals + 1), escapes.property);
  }
  return { name, properties, data: decode(parts.data, escapes.data) };
}

function decode(text: string, escapes: Escapes['data']): string {
  return escapes.reduce((result, [from, to]) => result.replaceAll(from, to), text);
}
