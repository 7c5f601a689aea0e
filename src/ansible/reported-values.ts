import { z } from 'zod';
import { NODE_NAME } from '../cluster/node.ts';
import { cleanText } from '../messages/clean-text.ts';

// The values that a node may report. Root on a node decides what it reports, so every value is validated before it is
// used. The message of each schema says what was expected.

/** A string that matches `pattern` completely. */
const held = (pattern: RegExp, expected: string) =>
  z.string({ error: `expected ${expected}` }).regex(pattern, { error: `expected ${expected}` });

/** A whole number within both bounds. */
export const wholeNumber = (least: number, most: number) => {
  const error = `expected a whole number from ${least} to ${most}`;
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error });
};

/** A number within both bounds. */
export const decimal = (least: number, most: number) => {
  const error = `expected a number from ${least} to ${most}`;
  return z.number({ error }).min(least, { error }).max(most, { error });
};

/** One of `words`. */
export const oneOf = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words, { error: `expected one of ${words.join(', ')}` });

/** A list of at most `most` entries. */
export const list = <Entry extends z.ZodType>(entry: Entry, most: number) =>
  z
    .array(entry, { error: 'expected a list' })
    .max(most, { error: `expected a list of at most ${most}` });

/** An object of at most `most` entries by names that match `name`. */
export const dictionary = <Entry extends z.ZodType>(
  name: z.ZodString,
  entry: Entry,
  most: number,
) => {
  const entries = z
    .record(name, entry, { error: 'expected an object' })
    .refine((value) => Object.keys(value).length <= most, {
      error: `expected an object of at most ${most} entries`,
    });
  // Records drop this name silently, so it is refused.
  return z.preprocess((value, context) => {
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) {
      context.addIssue({ code: 'custom', message: 'expected no name __proto__ in it' });
    }
    return value;
  }, entries);
};

/** An object with these fields; others are ignored. */
export const object = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.object(shape, { error: 'expected an object' });

/** True or false. */
export const flag = z.boolean({ error: 'expected true or false' });

/** Sentences for readers: invisible characters are escaped, long text is cut. */
export const prose = (length: number) =>
  z.string({ error: 'expected text' }).transform((value) => cleanText(value.slice(0, length)));

/** Text with tabs and line ends that is only compared, never parsed. */
export const textFile = (length: number) => {
  const error = `expected text of at most ${length} characters without control characters`;
  return z
    .string({ error })
    .max(length, { error })
    .regex(/^(?:[^\p{Cc}]|[\t\n\r])*$/u, { error });
};

const REFERENCE =
  '[a-z0-9][a-z0-9._/-]{0,200}(?::[0-9]{1,5}/[a-z0-9][a-z0-9._/-]{0,200})?(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?';
const DIGEST = 'sha256:[0-9a-f]{64}';

/** `node-2`. */
export const nodeName = held(NODE_NAME, 'the name of a node, e.g. node-1');
/** `sha256:…`. */
export const digest = held(new RegExp(`^${DIGEST}$`), 'sha256: and 64 hex digits');
/** `postgres:17`. */
export const imageReference = held(
  new RegExp(`^${REFERENCE}(?:@${DIGEST})?$`),
  'an image reference, e.g. postgres:17',
);
/** `postgres@sha256:…`, or the image's id if it is in no registry. */
export const pinnedImage = held(
  new RegExp(`^(?:${REFERENCE}@)?${DIGEST}$`),
  'an image by digest, e.g. postgres@sha256:<64 hex digits>',
);
/** `0/3000148` (PostgreSQL manual, 8.20 "pg_lsn Type"). */
export const lsn = held(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/, 'a WAL position, e.g. 0/3000148');
/** 32 bits; 0 before the first one. */
export const timeline = wholeNumber(0, 0xffff_ffff);
/** 64 bits in decimal. */
export const systemIdentifier = held(/^\d{1,20}$/, 'a system identifier of at most 20 digits');
/** PostgreSQL manual, 26.2.6 "Replication Slots". */
export const slotName = held(/^[a-z0-9_]{1,63}$/, 'the name of a slot, e.g. node_2');
/** The name of a database or of an output plugin, only for display (PostgreSQL manual, 4.1.1: 63 bytes). */
export const catalogName = prose(63);
/** `20.10.24+dfsg1`. */
export const dockerVersion = held(/^[0-9A-Za-z][0-9A-Za-z.+~:_-]{0,63}$/, 'a version, e.g. 26.1.5');
/** `/dev/nvme1n1`. */
export const devicePath = held(
  /^\/dev\/[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/,
  'the path of a device, e.g. /dev/nvme1n1',
);
/** `data.old-20261126T101500Z`, or a directory that a person named. */
export const keptDirectory = held(
  /^data\.old-[A-Za-z0-9._-]{1,100}$/,
  'a directory, e.g. data.old-20261126T101500Z',
);
/** A type that blkid knows. */
export const filesystem = held(/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,31}$/, 'a file system, e.g. ext4');
/** `en_US.utf8`. */
export const locale = held(/^[A-Za-z0-9_][\w.@:+-]{0,63}$/, 'a locale, e.g. en_US.utf8');
/** `en_US.utf8`, or an ICU locale; the node replaces other characters with `?`. */
export const collationLocale = held(/^[\w.@:+=;?-]{0,128}$/, 'a locale, e.g. en_US.utf8');
/** `2.36`. */
export const libraryVersion = held(/^[\w.+~?-]{1,64}$/, 'a version, e.g. 2.36');
/** IPv4. */
export const address = held(/^\d{1,3}(?:\.\d{1,3}){3}$/, 'an IPv4 address');
/** The address of the node that is copied, or the path of a repository. */
export const workSource = held(
  /^(?:\d{1,3}(?:\.\d{1,3}){3}|\/[A-Za-z0-9._/-]{1,300})$/,
  'an IPv4 address or the path of a repository',
);
/** `20261126-023001F_20261127-023002I` (pgBackRest, "Backup labels"). */
export const backupLabel = held(
  /^\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?$/,
  'the label of a backup, e.g. 20261126-023001F',
);
/** A host, an address or the directory of a socket, as libpq accepts them. */
export const hostName = held(/^[A-Za-z0-9_.:%/@-]{1,255}$/, 'a host or an address');
/** PostgreSQL keeps printable ASCII only (manual, 20.7.3 "application_name"). */
export const applicationName = held(/^[ -~]{0,255}$/, 'at most 255 printable characters');
/** The name of a role or a database, with `\ooo` for bytes that are not ASCII (`encode(…, 'escape')`). */
export const escapedName = held(/^[ -~]{1,252}$/, 'a name of at most 252 printable characters');
/** A file below pg_wal: a segment, a history, a backup label. */
export const walFile = held(/^[0-9A-F]{8,24}[.0-9A-Za-z]{0,40}$/, 'the name of a WAL file');
/** A random value of one proof (RFC 9562). */
export const proofToken = held(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a UUID');
/** SHA-256 without a prefix. */
export const fingerprint = held(/^[0-9a-f]{64}$/, '64 hex digits');
/** RFC 3339 in UTC, with microseconds. */
export const instant = held(
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
  'a time, e.g. 2026-11-26T02:30:00.000000Z',
);
/** The lower-case name of a setting. */
export const settingName = held(
  /^(?!constructor$|__proto__$)[a-z_][a-z0-9_$.-]{0,126}$/,
  'the lower-case name of a setting',
);
/** The value of a setting, which may contain tabs and line feeds. */
export const settingValue = textFile(16_384);
/** A value of a setting of type `integer`. */
export const integerValue = /^-?\d{1,20}$/;
/** A minimum or maximum, as pg_settings shows it. */
export const bound = held(/^-?[0-9.]{1,40}(?:e[+-]?\d{1,3})?$/i, 'a number');
/** `8kB`. */
export const unit = held(/^[0-9]{0,6}[A-Za-z]{1,8}$/, 'a unit, e.g. 8kB');
