import { describe, expect, test } from 'vitest';
import { libcOfImage, pinImage } from './image.ts';
import type { NodeObservation } from './observation.ts';
import { majorOfTag, splitReference } from './spec.ts';
import { createDesired, createHealthy, NEWER_DIGEST } from './testing/fixtures.ts';
import { changeNode } from './testing/rollout-fixtures.ts';

const before = createDesired({ image: 'postgres:17' });
const healthy = createHealthy(before);
const repository = 'registry.example:5000/db/postgres';
const newer = { image: 'registry.example:5000/db/postgres:17.7' };
const withRecord = (digest: string) => (node: NodeObservation) => ({
  record: node.record && { ...node.record, ...newer, digest },
});

describe('an image is pinned to', () => {
  test('the digest that the nodes run', () => {
    const { digest } = healthy[0]?.record ?? {};
    expect(pinImage(healthy, before)).toEqual({ image: 'postgres:17', digest });
  });

  test('the digest that the primary resolves, if no node runs it yet', () => {
    expect(pinImage(healthy, newer)).toEqual({
      image: newer.image,
      digest: `registry.example:5000/db/postgres@${NEWER_DIGEST}`,
    });
  });

  test('the digest that an interrupted run deployed on the first node, even if the tag has moved', () => {
    const observed = changeNode(healthy, 'node-3', withRecord(`${repository}@sha256:first`));
    expect(pinImage(observed, newer)?.digest).toBe(`${repository}@sha256:first`);
    // An image that no registry knows.
    const local = changeNode(healthy, 'node-3', withRecord('sha256:first'));
    expect(pinImage(local, newer)?.digest).toBe('sha256:first');
  });

  test('no digest of another repository that a node reports', () => {
    for (const digest of ['evil/postgres@sha256:first', 'registry.example:5000/db@sha256:first']) {
      const observed = changeNode(healthy, 'node-3', withRecord(digest));
      expect(pinImage(observed, newer)?.digest).toBe(`${repository}@${NEWER_DIGEST}`);
    }
    const hub = { image: 'docker.io/library/postgres:17.7' };
    const observed = changeNode(healthy, 'node-3', (node) => ({
      record: node.record && { ...node.record, ...hub, digest: 'postgres@sha256:first' },
    }));
    expect(pinImage(observed, hub)?.digest).toBe('postgres@sha256:first');
  });

  test('the reviewed digest, whatever a node reports', () => {
    const observed = changeNode(healthy, 'node-3', withRecord(`${repository}@sha256:first`));
    const pin = (reviewed: string | null) => pinImage(observed, newer, { reviewed })?.digest;
    expect(pin(NEWER_DIGEST)).toBe(`${repository}@${NEWER_DIGEST}`);
    // A review of another image, as of a pull request that a later one has overtaken.
    expect(pin('sha256:other')).toBe(`${repository}@sha256:first`);
    expect(pin(null)).toBe(`${repository}@sha256:first`);
  });

  test("the primary's digest, where nodes differ", () => {
    const changed = changeNode(healthy, 'node-1', withRecord(`${repository}@sha256:primary`));
    const observed = changeNode(changed, 'node-3', withRecord(`${repository}@sha256:replica`));
    const moved = [...observed].reverse();
    expect(pinImage(moved, newer)?.digest).toBe(`${repository}@sha256:primary`);
  });

  test('the requested digest, whatever the nodes run or resolve', () => {
    const image = `registry.example:5000/db/postgres:17.7@${NEWER_DIGEST}`;
    const digest = `registry.example:5000/db/postgres@${NEWER_DIGEST}`;
    const running = changeNode(healthy, 'node-3', (node) => ({
      record: node.record && { ...node.record, image, digest: 'db@sha256:other' },
    }));
    for (const observed of [[], healthy, running]) {
      expect(pinImage(observed, { image })).toEqual({ image, digest });
    }
  });

  test('nothing, if no node knows the digest', () => {
    const silent = healthy.map((node) => ({ ...node, host: { ...node.host, imageDigest: null } }));
    expect(pinImage(silent, newer)).toBeNull();
    expect(pinImage([], newer)).toBeNull();
  });
});

describe('an image reference', () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

  test.each([
    ['postgres:17', { repository: 'postgres', tag: '17', digest: null }],
    [`postgres:17@${digest}`, { repository: 'postgres', tag: '17', digest }],
    [
      `registry.example:5000/db/postgres:17-alpine@${digest}`,
      { repository: 'registry.example:5000/db/postgres', tag: '17-alpine', digest },
    ],
    [
      'registry.example:5000/postgres',
      { repository: 'registry.example:5000/postgres', tag: '', digest: null },
    ],
  ])('%s is taken apart', (reference, expected) => {
    expect(splitReference(reference)).toEqual(expected);
  });

  test.each([
    ['postgres:17', 'glibc'],
    [`postgres:17@${digest}`, 'glibc'],
    [`postgres:17-alpine@${digest}`, 'musl'],
    ['ghcr.io/acme/postgres:17-bookworm', 'glibc'],
    [`ghcr.io/acme/postgres:17@${digest}`, null],
  ])('%s tells its C library, with a digest as without', (reference, libc) => {
    expect(libcOfImage(reference)).toBe(libc);
  });

  test('names its major version, with a digest as without', () => {
    expect([`17@${digest}`, `14-alpine@${digest}`, `latest@${digest}`].map(majorOfTag)).toEqual([
      17,
      14,
      null,
    ]);
  });
});
