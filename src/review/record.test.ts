import { describe, expect, test } from 'vitest';
import { createPlan, type ResourceOverrides } from '../report/fixtures/plan.ts';
import { createLock } from '../terraform/fixtures.ts';
import { summarizePlan } from '../terraform/plan.ts';
import {
  buildRecord,
  digestReview,
  nameApply,
  openReview,
  type ReviewRecord,
  sealReview,
} from './record.ts';

const KEY = 'k'.repeat(32);
const commit = 'a'.repeat(40);
const at = { identity: 'postgres/abc', commit };

function createReview(count = 1, note = 'plain'): ReviewRecord {
  const resources = Array.from({ length: count }, (_, index): ResourceOverrides => {
    const noise = Array.from({ length: 40 }, (__, word) =>
      ((index * 7919 + word * 104729) % 99991).toString(36),
    );
    return {
      address: `aws_ebs_volume.data["${index}"]`,
      actions: ['create'],
      after: { size: 20, note: count > 1 ? noise.join('-') : note },
    };
  });
  const plan = buildRecord(summarizePlan(createPlan(resources)), {
    ...at,
    image: 'sha256:1',
    providerLock: createLock(),
    redact: (text) => text.replaceAll('hunter2', '***'),
  });
  const origin = {
    event: 'pull_request',
    pullRequest: 7,
    base: 'main',
    run: { id: 7, attempt: 1 },
    time: '2026-11-26T12:00:00.000Z',
  } as const;
  return { ...plan, origin };
}

describe('a sealed review', () => {
  test.each(['', KEY])('opens unchanged, key %j', (key) => {
    const review = createReview();
    expect(openReview(sealReview(review, key), { ...at, key })).toEqual(review);
  });

  test('contains no secret, and its digest does not depend on hidden values', () => {
    const review = createReview(1, 'password is hunter2');
    expect(JSON.stringify(review)).not.toContain('hunter2');
    expect(openReview(sealReview(review, KEY), { ...at, key: KEY })).toEqual(review);
  });

  test.each([
    [
      'not signed',
      (text: string) => `${text.split('.')[0]}.`,
      /^it is not signed: .* had no review-key/,
    ],
    [
      'signed by another key',
      () => sealReview(createReview(), 'x'.repeat(32)),
      /^its signature is not that of review-key: .* had another/,
    ],
    [
      'another plan with the old signature',
      (text: string) => `${sealReview(createReview(2), '').split('.')[0]}.${text.split('.')[1]}`,
      /^its signature is not that of review-key/,
    ],
    ['empty', () => '', /^it is not signed/],
  ])('is rejected: %s', (_, forge, problem) => {
    expect(openReview(forge(sealReview(createReview(), KEY)), { ...at, key: KEY })).toEqual({
      problem: expect.stringMatching(problem),
    });
  });

  test('that is signed is rejected as unchecked without a key', () => {
    expect(openReview(sealReview(createReview(), KEY), { ...at, key: '' })).toEqual({
      problem: expect.stringMatching(/^it is signed, and this job has no review-key/),
      unchecked: true,
    });
  });

  test.each([
    ['of another commit', { ...at, commit: 'b'.repeat(40) }, `it is of commit ${commit}`],
    ['of another cluster', { ...at, identity: 'orders/abc' }, 'it is of another cluster'],
  ])('is rejected though it is signed: %s', (_, elsewhere, problem) => {
    expect(openReview(sealReview(createReview(), KEY), { ...elsewhere, key: KEY })).toEqual({
      problem,
    });
  });

  test.each([
    '',
    'AAAA.',
    'not base64 at all',
    sealReview({ ...createReview(), digest: 7 as never }, ''),
    // An older version, without the origin.
    sealReview({ ...createReview(), origin: undefined as never }, ''),
  ])('is rejected if damaged: %j', (text) => {
    expect(openReview(text, { ...at, key: '' })).toEqual({
      problem: 'it cannot be read: it is damaged, or another version of this action wrote it',
    });
  });

  test.each([
    ['another provider', createLock().replace('hashicorp/aws', 'mallory/aws')],
    ['more than a lock', `${createLock()}provider "registry.terraform.io/mallory/aws" {\n}\n`],
  ])('is rejected if its lock file names %s', (_, providerLock) => {
    const text = sealReview({ ...createReview(), providerLock }, '');
    expect(openReview(text, { ...at, key: '' })).toEqual({
      problem: expect.stringMatching(/^it cannot be read/),
    });
  });

  test('of a plan that is too large has only the digest and the provider', () => {
    const review = createReview(3000);
    const text = sealReview(review, KEY);
    expect(text.length).toBeLessThan(65_000);
    expect(openReview(text, { ...at, key: KEY })).toEqual({ ...review, changes: null });
  });

  test('has a digest of plan and image', () => {
    const plan = summarizePlan(createPlan([{ address: 'aws_vpc.own[0]', actions: ['create'] }]));
    const empty = summarizePlan(createPlan([]));
    const digests = [
      digestReview(plan, null),
      digestReview(plan, 'sha256:1'),
      digestReview(plan, 'sha256:2'),
      digestReview(empty, null),
    ];
    expect(new Set(digests).size).toBe(4);
  });

  test('has an apply name that requires the key', () => {
    const { identity, digest } = createReview();
    const name = nameApply({ identity, commit, digest }, KEY);
    const others = [
      nameApply({ identity, commit, digest }, ''),
      nameApply({ identity, commit, digest }, 'x'.repeat(32)),
      nameApply({ identity, commit: 'b'.repeat(40), digest }, KEY),
      nameApply({ identity: 'orders/abc', commit, digest }, KEY),
    ];
    expect(others).not.toContain(name);
    expect(name.startsWith(`${identity}:${digest}:`)).toBe(true);
    expect(name.length).toBeLessThan(255);
  });
});
