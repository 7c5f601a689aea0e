import { describe, expect, test } from 'vitest';
import { createLock } from './fixtures.ts';
import { compareProviders, explainLockFailure, parseProviderLock } from './provider-lock.ts';

const lock = createLock();
const replace = (from: string, to: string): string => {
  expect(lock).toContain(from);
  return lock.replace(from, to);
};

describe('parseProviderLock', () => {
  test.each<[string, string, string]>([
    ['Terraform’s', lock, '6.8.0'],
    [
      'OpenTofu’s',
      lock.replace('terraform init', 'tofu init').replace('terraform.io', 'opentofu.org'),
      '6.8.0',
    ],
    ['one of a beta', createLock({ version: '7.0.0-beta2' }), '7.0.0-beta2'],
    ['one without constraints', lock.replace(/ {2}constraints.*\n/, ''), '6.8.0'],
  ])('reads %s', (_, text, version) => {
    expect(parseProviderLock(text)).toEqual({ version });
  });

  test.each<[string, string]>([
    ['nothing', ''],
    ['no provider', lock.slice(0, lock.indexOf('provider "'))],
    ['another provider', replace('hashicorp/aws', 'mallory/aws')],
    ['another registry', replace('registry.terraform.io', 'registry.mallory.example')],
    ['a registry with the same prefix', replace('terraform.io/', 'terraform.io.evil/')],
    ['a second provider', `${lock}\n${lock}`],
    ['another block', `${lock}terraform {\n}\n`],
    ['a block before it', `locals {\n}\n${lock}`],
    ['an expression', replace('"~> 6.8"', `"\${file("/etc/passwd")}"`)],
    ['another attribute', replace('  hashes', '  source = "x"\n  hashes')],
    ['no checksum', lock.replace(/ {4}".*\n/g, '')],
    ['no checksum of the unpacked files', lock.replace(/ {4}"h1.*\n/, '')],
    ['a checksum of another scheme', replace('"zh:', '"no:')],
    ['a version that is a path', replace('"6.8.0"', '"6.8.0/../../x"')],
    ['a control character', replace('Manual', 'Man\u001bual')],
    ['too many checksums', lock.replace(/( {4}"zh.*\n)/, '$1'.repeat(400))],
  ])('refuses %s', (_, text) => {
    expect(parseProviderLock(text)).toBeNull();
  });

  test('a long text that resembles a lock is refused in linear time', () => {
    const started = performance.now();
    expect(parseProviderLock(`${'#\n'.repeat(7000)}"h1:${' '.repeat(900)}`)).toBeNull();
    expect(performance.now() - started).toBeLessThan(200);
  });
});

describe('explainLockFailure', () => {
  // As the programs print them (internal/command/init.go, internal/providercache/installer.go).
  test.each<[string, RegExp]>([
    [
      'Could not retrieve the list of available versions for provider hashicorp/aws:\nthe previously-selected version 6.8.0 is no longer available',
      /cannot use it: this version is no longer available\.$/,
    ],
    [
      "│ Error while installing hashicorp/aws v6.8.0: the local package for\n│ registry.terraform.io/hashicorp/aws 6.8.0 doesn't match any of\n│ the checksums previously recorded in the dependency lock file",
      /has other checksums than at the review, or the review ran on another platform\.$/,
    ],
    [
      'Provider registry.terraform.io/hashicorp/aws v6.8.0 does not have a package\navailable for your current platform, windows_arm.',
      /does not exist for the platform/,
    ],
    [
      'locked provider registry.terraform.io/hashicorp/aws 6.8.0 does not match\nconfigured version constraint ~> 6.9; must use terraform init -upgrade',
      /does not meet the requirements of the templates/,
    ],
    [
      'Changes to the required provider dependencies were detected, but the lock\nfile is read-only.',
      /Terraform and OpenTofu name providers differently/,
    ],
  ])('%s', (stderr, expected) => {
    const problem = explainLockFailure(stderr, { version: '6.8.0' });
    expect(problem).toMatch(/^The plan was reviewed with hashicorp\/aws 6\.8\.0, and the merge/);
    expect(problem).toMatch(expected);
  });

  test.each([
    'could not connect to registry.terraform.io: failed to request discovery document',
    'Error: Error loading state: AccessDenied',
    '',
  ])('returns null for failures with another cause: %s', (stderr) => {
    expect(explainLockFailure(stderr, { version: '6.8.0' })).toBeNull();
  });
});

test.each<[string | null, string | null, string | null]>([
  [lock, lock, null],
  [null, null, null],
  [lock, null, 'The review does not say which provider planned it; hashicorp/aws is 6.8.0 now.'],
  [
    null,
    lock,
    'The plan was reviewed with hashicorp/aws 6.8.0; which one planned now is not known.',
  ],
  [
    createLock({ version: '6.9.0' }),
    lock,
    'The plan was reviewed with hashicorp/aws 6.8.0; it is 6.9.0 now.',
  ],
  [createLock({ hash: 'B' }), lock, 'hashicorp/aws 6.8.0 has other checksums than at the review.'],
])('compares providers: case %#', (now, reviewed, expected) => {
  expect(compareProviders(now, reviewed)).toBe(expected);
});
