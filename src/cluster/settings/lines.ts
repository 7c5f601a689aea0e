import { quoteValue } from '../../messages/quote-value.ts';

/** A setting as the team wrote it. */
export interface GivenSetting {
  /** In lower case. */
  readonly name: string;
  /** Without quotes and escapes. */
  readonly value: string;
  /** Number of its line, from 1. */
  readonly line: number;
}

/** The settings that could be read; a problem begins with its line number. */
export interface ParsedSettings {
  readonly given: readonly GivenSetting[];
  readonly problems: readonly string[];
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?/;
const QUOTED = /^'((?:[^'\\]|\\.|'')*)'/;
/** Numbers may have a fraction, an exponent and a unit, also where `postgresql.conf` requires quotes. */
const BARE =
  /^(?:[A-Za-z_][A-Za-z0-9_.:/-]*|[+-]?(?:0[xX][0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[A-Za-z]*)/;
/** A number and, after a space, a unit. */
const SPACED = /^([+-]?\d+(?:\.\d+)?)[ \t]+(B|kB|MB|GB|TB|us|ms|s|min|h|d)[ \t\r]*(?:#.*)?$/;
const END = /^[ \t\r]*(?:#.*)?$/;
const UNPRINTABLE = /[^\P{Cc}\t\n]/u;
const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
const ALLOWED =
  "Allowed: name = value, with single quotes around a value that is more than a word or a number, e.g. log_line_prefix = '%m [%p] '.";

/**
 * Reads settings written as in `postgresql.conf` (PostgreSQL manual, 19.1.2), one a line, with comments and
 * blank lines. Invalid lines and repeated names are problems, which begin with the line number.
 */
export function parseSettingLines(text: string): ParsedSettings {
  const given = new Map<string, GivenSetting>();
  const problems: string[] = [];
  for (const [index, source] of text.split('\n').entries()) {
    const line = index + 1;
    if (END.test(source)) continue;
    const parsed = parseLine(source.replace(/^[ \t\r]+/, ''));
    if ('problem' in parsed) {
      problems.push(`line ${line}: ${parsed.problem}`);
      continue;
    }
    const before = given.get(parsed.name);
    if (before) {
      problems.push(
        `line ${line}: ${parsed.name} was given in line ${before.line} already. Keep one of them.`,
      );
    } else given.set(parsed.name, { ...parsed, line });
  }
  return { given: [...given.values()], problems };
}

/** Reads settings from a map: values are literal, without quotes and escapes. */
export function parseSettingEntries(entries: readonly GivenSetting[]): ParsedSettings {
  const given = new Map<string, GivenSetting>();
  const problems: string[] = [];
  for (const { name: written, value, line } of entries) {
    const name = written.toLowerCase();
    const before = given.get(name);
    if (NAME.exec(written)?.[0] !== written) {
      problems.push(
        `line ${line}: ${quoteValue(written)} is not allowed. Allowed: the name of a setting, e.g. work_mem.`,
      );
    } else if (before) {
      problems.push(
        `line ${line}: ${name} was given in line ${before.line} already. Keep one of them.`,
      );
    } else if (UNPRINTABLE.test(value)) {
      problems.push(
        `line ${line}: ${name} = ${quoteValue(value)} is not allowed. Allowed in a value: printable characters, tabs and line breaks.`,
      );
    } else given.set(name, { name, value, line });
  }
  return { given: [...given.values()], problems };
}

function parseLine(source: string): { name: string; value: string } | { problem: string } {
  const wrong = { problem: `${quoteValue(source.trim())} is not allowed. ${ALLOWED}` };
  const name = NAME.exec(source)?.[0];
  if (name === undefined) return wrong;
  const rest = source.slice(name.length).replace(/^[ \t\r]*(?:=[ \t\r]*)?/, '');
  if (END.test(rest)) {
    return {
      problem: `${name.toLowerCase()} has no value. Give one, '' for an empty one, or remove the line to have PostgreSQL's default.`,
    };
  }
  const quoted = QUOTED.exec(rest);
  const written = quoted?.[0] ?? BARE.exec(rest)?.[0];
  if (written === undefined || !END.test(rest.slice(written.length))) {
    const spaced = SPACED.exec(rest);
    return spaced === null
      ? wrong
      : { problem: `${wrong.problem} Did you mean ${name} = ${spaced[1]}${spaced[2]}?` };
  }
  const value = quoted ? readEscapes(quoted[1] ?? '') : written;
  if (value === null) {
    return {
      problem: `${quoteValue(source.trim())} is not allowed. Allowed in a value: printable characters, tabs and line breaks; no escape above \\177, write the character itself.`,
    };
  }
  return { name: name.toLowerCase(), value };
}

/** Returns the text between the quotes; null when it contains what no configuration file should. */
function readEscapes(text: string): string | null {
  const value = text.replace(/''|\\([0-7]{1,3}|.)/g, (match, escaped?: string) => {
    if (match === "''" || escaped === undefined) return "'";
    // Characters beyond ASCII are refused below.
    if (/^[0-7]/.test(escaped)) return String.fromCharCode(Math.min(Number(`0o${escaped}`), 0x80));
    return ESCAPES[escaped] ?? escaped;
  });
  return UNPRINTABLE.test(value) ? null : value;
}
