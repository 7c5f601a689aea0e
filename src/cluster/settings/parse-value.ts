// How PostgreSQL reads the value of a setting (manual, 19.1.1 "Parameter Names and Values").

/** A base unit of `pg_settings`, e.g. `8kB`: its size, and the units that a value may have. */
interface BaseUnit {
  /** In bytes or microseconds. */
  readonly size: number;
  /** Largest first. */
  readonly units: readonly Unit[];
}

type Unit = readonly [name: string, size: number];

const MEMORY_UNITS: readonly Unit[] = [
  ['TB', 1024 ** 4],
  ['GB', 1024 ** 3],
  ['MB', 1024 ** 2],
  ['kB', 1024],
  ['B', 1],
];
const TIME_UNITS: readonly Unit[] = [
  ['d', 86_400_000_000],
  ['h', 3_600_000_000],
  ['min', 60_000_000],
  ['s', 1_000_000],
  ['ms', 1000],
  ['us', 1],
];
const MAX_INTEGER = 2 ** 31 - 1;
const MIN_INTEGER = -(2 ** 31);
/** The smallest number a double holds with all its digits. */
const SMALLEST_DOUBLE = 2 ** -1022;

/** Returns the truth of a Boolean value: `on`, `true`, `yes`, `1`, their opposites and unique prefixes; null when invalid. */
export function parseBoolean(value: string): boolean | null {
  const word = value.toLowerCase();
  if (word === '') return null;
  if ('true'.startsWith(word) || 'yes'.startsWith(word) || word === 'on' || word === '1') {
    return true;
  }
  if ('false'.startsWith(word) || 'no'.startsWith(word) || word === '0') return false;
  // "o" is a prefix of both on and off.
  return word.length > 1 && 'off'.startsWith(word) ? false : null;
}

/**
 * Returns the number that an `integer` setting with base unit `unit` gets from `value`: decimal, hexadecimal (`0x1F`) or
 * octal (`017`), fractions rounded, with or without a unit. Null when PostgreSQL would reject it.
 */
export function parseInteger(value: string, unit: string | null): number | null {
  const text = trimStart(value);
  const digits = /^[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)/.exec(text)?.[0] ?? '';
  // As C's strtol with base 0, and strtod where that stops at a fraction or an exponent. It stops before the
  // blanks, not after them, where it finds no digit.
  const stop = digits === '' ? value : text.slice(digits.length);
  const number = /^[.eE]/.test(stop) ? readFloat(text) : readWhole(digits, text);
  if (number === null) return null;
  const converted = convertToBase(number, unit);
  if (converted === null) return null;
  // Not -0.
  const rounded = roundHalfEven(converted) + 0;
  return rounded > MAX_INTEGER || rounded < MIN_INTEGER ? null : rounded;
}

/** Returns the number that a `real` setting with base unit `unit` gets from `value`; null when PostgreSQL would reject it. */
export function parseReal(value: string, unit: string | null): number | null {
  const number = readFloat(trimStart(value));
  return number === null ? null : convertToBase(number, unit);
}

/**
 * Returns the word of an `enum` that `value` means, or null. Besides its `words`, which are compared without case, an enum
 * with `on` and `off` accepts the Boolean words, and one with `debug2` accepts `debug` and `info`, which `pg_settings`
 * hides.
 */
export function parseWord(value: string, words: readonly string[]): string | null {
  const given = value.toLowerCase();
  const known = new Map(words.map((word) => [word.toLowerCase(), word]));
  // wal_compression shows on as pglz, its other name.
  if (given === 'on' && known.has('on') && known.has('pglz')) return 'pglz';
  const exact = known.get(given);
  if (exact !== undefined) return exact;
  if (known.has('on') && known.has('off')) {
    if (['true', 'yes', '1'].includes(given)) return parseWord('on', words);
    if (['false', 'no', '0'].includes(given)) return parseWord('off', words);
  }
  if (!known.has('debug2')) return null;
  return given === 'debug' ? 'debug2' : given === 'info' ? 'info' : null;
}

/** Returns the units that a value of a setting with this base unit may have, largest first; empty without a base unit. */
export function listUnits(unit: string | null): string[] {
  return (unit === null ? null : readBaseUnit(unit))?.units.map(([name]) => name) ?? [];
}

/** Formats a number of base units in the largest unit without a fraction: 16384 × `8kB` → `128MB`. */
export function formatQuantity(number: number, unit: string | null): string {
  const base = unit === null ? null : readBaseUnit(unit);
  if (base === null) return `${number}`;
  // Only the name of a unit such as 8kB.
  if (number === 0) return `0${unit?.replace(/^\d+/, '')}`;
  const size = number * base.size;
  const [name, divisor] = base.units.find(([, factor]) => Number.isInteger(size / factor)) ?? [];
  return name === undefined || divisor === undefined
    ? `${number}${unit}`
    : `${size / divisor}${name}`;
}

interface Read {
  readonly number: number;
  /** What follows the number. */
  readonly rest: string;
}

function readWhole(digits: string, text: string): Read | null {
  if (!/\d/.test(digits)) return null;
  const sign = digits.startsWith('-') ? -1 : 1;
  const unsigned = digits.replace(/^[+-]/, '');
  const isOctal = /^0[0-7]/.test(unsigned);
  return {
    number: sign * Number(isOctal ? `0o${unsigned.slice(1)}` : unsigned),
    rest: text.slice(digits.length),
  };
}

function readFloat(text: string): Read | null {
  const hexadecimal =
    /^([+-]?)0[xX](?:([0-9a-fA-F]+)(?:\.([0-9a-fA-F]*))?|\.([0-9a-fA-F]+))(?:[pP]([+-]?\d+))?/.exec(
      text,
    );
  if (hexadecimal) {
    const [match, sign, whole = '', after = '', alone = '', exponent = '0'] = hexadecimal;
    const fraction = after || alone;
    const digits = Number.parseInt(`0${whole}${fraction}`, 16);
    const number = digits * 2 ** (Number(exponent) - 4 * fraction.length);
    const isZero = digits === 0;
    return finish(sign === '-' ? -number : number, { isZero, rest: text.slice(match.length) });
  }
  const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/.exec(text)?.[0];
  if (decimal === undefined) return null;
  const isZero = !/[1-9]/.test(decimal.replace(/[eE].*/, ''));
  return finish(Number(decimal), { isZero, rest: text.slice(decimal.length) });
}

/** A number too large or too small for a double is an error, not infinity or zero. */
function finish(number: number, { isZero, rest }: { isZero: boolean; rest: string }): Read | null {
  if (isZero) return { number: 0, rest };
  const size = Math.abs(number);
  return size < SMALLEST_DOUBLE || size === Infinity ? null : { number, rest };
}

/** Trims what C's isspace counts as blank. */
function trimStart(text: string): string {
  return text.replace(/^[ \t\n\v\f\r]+/, '');
}

function convertToBase({ number, rest }: Read, unit: string | null): number | null {
  const name = trimStart(rest).replace(/[ \t\n\v\f\r]+$/, '');
  if (name === '') return number;
  const base = unit === null ? null : readBaseUnit(unit);
  if (base === null) return null;
  const index = base.units.findIndex(([candidate]) => candidate === name);
  const found = base.units[index];
  if (!found) return null;
  const quantity = number * (found[1] / base.size);
  const next = base.units[index + 1];
  if (!next) return quantity;
  // 30.1GB is a whole number of MB, not of bytes.
  const step = next[1] / base.size;
  return roundHalfEven(quantity / step) * step;
}

function readBaseUnit(unit: string): BaseUnit | null {
  const match = /^(\d*)([A-Za-z]+)$/.exec(unit);
  if (!match) return null;
  for (const units of [MEMORY_UNITS, TIME_UNITS]) {
    const found = units.find(([name]) => name === match[2]);
    if (found) return { size: Number(match[1] || '1') * found[1], units };
  }
  return null;
}

/** Rounds like C's rint. */
function roundHalfEven(number: number): number {
  const floor = Math.floor(number);
  const rest = number - floor;
  if (rest !== 0.5) return Math.round(number);
  return floor % 2 === 0 ? floor : floor + 1;
}
