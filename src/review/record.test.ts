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

describe('a review that is kept', () => {
  test.each(['', KEY])('comes back as it was, key %j', (key) => {
    const review = createReview();
    expect(openReview(sealReview(review, key), { ...at, key })).toEqual(review);
  });

  test('holds no secret, and its digest does not depend on what is hidden', () => {
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
      'another plan under the signature',
      (text: string) => `${sealReview(createReview(2), '').split('.')[0]}.${text.split('.')[1]}`,
      /^its signature is not that of review-key/,
    ],
    ['empty', () => '', /^it is not signed/],
  ])('%s is refused', (_, forge, problem) => {
    expect(openReview(forge(sealReview(createReview(), KEY)), { ...at, key: KEY })).toEqual({
      problem: expect.stringMatching(problem),
    });
  });

  test('signed, but not to be checked, is refused and told from every other', () => {
    expect(openReview(sealReview(createReview(), KEY), { ...at, key: '' })).toEqual({
      problem: expect.stringMatching(/^it is signed, and this job has no review-key/),
      unchecked: true,
    });
  });

  test.each([
    ['of another commit', { ...at, commit: 'b'.repeat(40) }, `it is of commit ${commit}`],
    ['of another cluster', { ...at, identity: 'orders/abc' }, 'it is of another cluster'],
  ])('%s is refused though it is signed', (_, elsewhere, problem) => {
    expect(openReview(sealReview(createReview(), KEY), { ...elsewhere, key: KEY })).toEqual({
      problem,
    });
  });

  test.each([
    '',
    'AAAA.',
    'not base64 at all',
    sealReview({ ...createReview(), digest: 7 as never }, ''),
    // As it was before it said what it was made for.
    sealReview({ ...createReview(), origin: undefined as never }, ''),
  ])('damage is no crash: %j', (text) => {
    expect(openReview(text, { ...at, key: '' })).toEqual({
      problem: 'it cannot be read: it is damaged, or another version of this action wrote it',
    });
  });

  test.each([
    ['another provider', createLock().replace('hashicorp/aws', 'mallory/aws')],
    ['more than a lock', `${createLock()}provider "registry.terraform.io/mallory/aws" {\n}\n`],
  ])('that names %s cannot be read', (_, providerLock) => {
    const text = sealReview({ ...createReview(), providerLock }, '');
    expect(openReview(text, { ...at, key: '' })).toEqual({
      problem: expect.stringMatching(/^it cannot be read/),
    });
  });

  test('of a plan that is too large keeps the digest and the provider alone', () => {
    const review = createReview(3000);
    const text = sealReview(review, KEY);
    expect(text.length).toBeLessThan(65_000);
    expect(openReview(text, { ...at, key: KEY })).toEqual({ ...review, changes: null });
  });

  test('the digest tells plans and images apart', () => {
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

  test('that its apply has begun cannot be said without the key', () => {
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
