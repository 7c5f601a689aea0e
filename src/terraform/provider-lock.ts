import { UserError } from '../messages/errors.ts';

/** The file in which `init` records the chosen provider and its checksums. */
export const LOCK_FILE = '.terraform.lock.hcl';

/** Characters. A lock of one provider for many platforms has about 2,000. */
const MAX_LOCK_LENGTH = 16_000;

const PROVIDER = 'hashicorp/aws';

/** The exact format that `init` writes for the templates' provider: comments, then its block. */
const LOCK = new RegExp(
  [
    /^(?:#[ -~]*\n|\n)*/,
    /provider "(?:registry\.terraform\.io|registry\.opentofu\.org)\/hashicorp\/aws" \{\n/,
    / {2}version {5}= "(?<version>\d{1,9}\.\d{1,9}\.\d{1,9}(?:-[0-9A-Za-z.-]{1,64})?)"\n/,
    /(?: {2}constraints = "[0-9A-Za-z.~<>=!, -]{1,256}"\n)?/,
    / {2}hashes = \[\n(?: {4}"(?:h1:[A-Za-z0-9+/]{43}=|zh:[0-9a-f]{64})",\n)+ {2}\]\n/,
    /\}\n$/,
  ]
    .map(({ source }) => source)
    .join(''),
);

/** The content of a lock file. */
export interface ProviderLock {
  /** e.g. `6.8.0`. */
  readonly version: string;
}

/**
 * Reads the text of a lock file; null unless it locks `hashicorp/aws` alone, with at least one checksum of the unpacked
 * provider (`h1`). The other checksums do not cover a provider in a mirror's folder.
 *
 * Source: Terraform's documentation, "Dependency Lock File"; OpenTofu writes the same format.
 */
export function parseProviderLock(text: string): ProviderLock | null {
  if (text.length > MAX_LOCK_LENGTH || !text.includes('"h1:')) return null;
  const version = LOCK.exec(text)?.groups?.version;
  return version === undefined ? null : { version };
}

/** The reviewed provider cannot be installed. */
export class ProviderLockError extends UserError {
  constructor(problem: string, options?: ErrorOptions) {
    super(problem, options);
    this.name = 'ProviderLockError';
  }
}

/** Terraform's and OpenTofu's messages about a lock that cannot be met, and their meaning. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/is no longer available/, 'this version is no longer available'],
  [
    /doesn't match any of the checksums|does not match any of the checksums/,
    'the provider of this version has other checksums than at the review, or the review ran on another platform',
  ],
  [
    /not available for|no(?:t have a)? package (?:available )?for/,
    'this version does not exist for the platform of this runner',
  ],
  [
    /does not match configured version constraint/,
    'it does not meet the requirements of the templates, which another release of this action changed',
  ],
  [
    /lock file is read-only/,
    'its lock file is not of the program that runs now: Terraform and OpenTofu name providers differently',
  ],
];

/**
 * Explains, from the standard error of `init`, why it could not use the lock; null if it failed for another reason, such
 * as an unreachable registry.
 */
export function explainLockFailure(stderr: string, { version }: ProviderLock): string | null {
  // The programs wrap lines at 78 characters.
  const words = stderr.replace(/[\s│]+/g, ' ');
  const reason = REASONS.find(([pattern]) => pattern.test(words))?.[1];
  return reason === undefined
    ? null
    : `The plan was reviewed with ${PROVIDER} ${version}, and the merge cannot use it: ${reason}.`;
}

/** Explains the difference between the present provider and the reviewed one; null if there is none. */
export function compareProviders(now: string | null, reviewed: string | null): string | null {
  if (now === reviewed) return null;
  const [current, kept] = [now, reviewed].map((text) => text && parseProviderLock(text)?.version);
  if (kept === null) {
    return `The review does not say which provider planned it; ${PROVIDER} is ${current} now.`;
  }
  if (current === null) {
    return `The plan was reviewed with ${PROVIDER} ${kept}; which one planned now is not known.`;
  }
  return current === kept
    ? `${PROVIDER} ${kept} has other checksums than at the review.`
    : `The plan was reviewed with ${PROVIDER} ${kept}; it is ${current} now.`;
}
