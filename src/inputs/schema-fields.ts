import { z } from 'zod';
import { type BoundedSetting, describeBounds } from '../cluster/settings/bounds.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { maskAddress, parseAddress } from './ipv4.ts';

/** Bytes that common file systems allow for a name in a path, and for a whole path. */
const MAX_SEGMENT_BYTES = 255;
const MAX_PATH_BYTES = 1024;

/** The error of a field: what is allowed, and an example. */
export const explain = (allowed: string, example: string) => ({
  error: () => `Allowed: ${allowed}, e.g. ${example}.`,
});

/** The error of a setting that is also a separate field; `settings` has the same bounds. */
export const explainBounds = (name: BoundedSetting) => ({
  error: () => `Allowed: ${describeBounds(name)}.`,
});

type Explanation = ReturnType<typeof explain>;

/** A text that passes `test`. `json` is the part of the test that JSON Schema can express. */
export const text = (
  test: (value: string) => boolean,
  allowed: Explanation,
  json: Readonly<Record<string, unknown>> = {},
) => z.string(allowed).refine(test, allowed).meta(json);

/** A text that matches the pattern. */
export const matching = (pattern: RegExp, allowed: Explanation) =>
  text((value) => pattern.test(value), allowed, { pattern: pattern.source });

/** A whole number within the bounds. */
export const wholeNumber = (minimum: number, maximum: number, example: number) => {
  const allowed = explain(`a whole number from ${minimum} to ${maximum}`, String(example));
  return z
    .number(allowed)
    .refine((value) => Number.isInteger(value) && value >= minimum && value <= maximum, allowed)
    .meta({ type: 'integer', minimum, maximum });
};

/** A list of texts that pass `test`. `pattern` is the part of the test that JSON Schema can express. */
export const list = (
  pattern: RegExp,
  {
    test,
    allowed,
    example,
  }: { test: (value: string) => boolean; allowed: string; example: string },
) =>
  z
    .array(z.string(explain(allowed, example)).meta({ pattern: pattern.source }), {
      error: () => `Allowed: a list of ${allowed}, e.g. [${example}].`,
    })
    .superRefine((values, context) => {
      for (const [index, found] of values.entries()) {
        if (test(found)) continue;
        context.addIssue({
          code: 'custom',
          message: `Found ${quoteValue(found)} in the list. Allowed: ${allowed}, e.g. ${example}.`,
          params: { found },
          path: [index],
        });
      }
    })
    .transform((values) => [...new Set(values)]);

/** The longest name of a cluster. */
export const MAX_NAME_LENGTH = 40;

/** Whether a text can be the name of a cluster. EC2 reserves names of security groups that begin with sg-. */
export const isClusterName = (value: string): boolean =>
  /^(?!sg-)[a-z]([a-z0-9-]*[a-z0-9])?$/.test(value) && value.length <= MAX_NAME_LENGTH;

/** A list of IPv4 networks. */
export const networks = (example: string) =>
  list(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/, {
    test: isNetwork,
    allowed: 'IPv4 networks in CIDR form without host bits',
    example,
  });

/** Addresses that no host in a VPC can have: this network, loopback, link-local, multicast and beyond (RFC 6890). */
const UNUSABLE = /^(?:0|127|169\.254|22[4-9]|23\d|24\d|25\d)\./;

/** A network for a VPC: each of its subnets is a sixteenth of it, and the smallest subnet is a /28. */
export function isVpcNetwork(value: string): boolean {
  const prefix = Number(value.split('/')[1]);
  return isNetwork(value) && prefix >= 16 && prefix <= 24 && !UNUSABLE.test(value);
}

/** The name of a label, or an empty text. `whenEmpty` says what an empty one means. */
export const label = (whenEmpty: string, example: string) =>
  text(
    (value) => value.length <= 50 && value === value.trim() && !/\p{Cc}/u.test(value),
    explain(`the name of a label, at most 50 characters, or nothing ${whenEmpty}`, example),
    { maxLength: 50 },
  );

/** A folder of the workspace. */
export const folder = (example: string) =>
  text(
    isFolder,
    explain(
      `a relative path inside the workspace of letters, digits, dots, dashes and underscores, without .., .git or .github, at most ${MAX_SEGMENT_BYTES} characters a name and ${MAX_PATH_BYTES} in all`,
      example,
    ),
    { maxLength: MAX_PATH_BYTES },
  );

/** Only ASCII is allowed, so a character is a byte. */
function isFolder(path: string): boolean {
  // The path reaches ssh's command line through the inventory.
  if (!/^[A-Za-z0-9._/-]*$/.test(path) || path.startsWith('/')) return false;
  const names = path.split('/').map((name) => name.toLowerCase());
  return (
    path.length <= MAX_PATH_BYTES &&
    names.every((name) => name.length <= MAX_SEGMENT_BYTES) &&
    // Git's own files, and workflows that GitHub runs. Some file systems ignore letter case.
    !names.some((name) => ['..', '.git', '.github'].includes(name))
  );
}

// Rejects leading zeros, which some programs read as octal.
const cidr = z.cidrv4();

function isNetwork(value: string): boolean {
  if (!cidr.safeParse(value).success) return false;
  const [text = '', prefix] = value.split('/');
  const address = parseAddress(text);
  // EC2 rejects rules with host bits set.
  return address !== null && maskAddress(address, Number(prefix)) === address;
}
