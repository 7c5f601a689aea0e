import { describe, expect, test } from 'vitest';
import { createDesired, createHealthy, NEWER_DIGEST } from './fixtures.ts';
import { pinImage } from './image.ts';
import type { NodeObservation } from './observation.ts';
import { bend } from './rollout-fixtures.ts';

const before = createDesired({ image: 'postgres:17' });
const healthy = createHealthy(before);
const newer = { image: 'registry.example:5000/db/postgres:17.7' };
const withRecord = (digest: string) => (node: NodeObservation) => ({
  record: node.record && { ...node.record, ...newer, digest },
});

describe('an image is pinned to', () => {
  test('what the nodes run under it', () => {
    const { digest } = healthy[0]?.record ?? {};
    expect(pinImage(healthy, before)).toEqual({ image: 'postgres:17', digest });
  });

  test('what the primary sees it stand for, where none runs it yet', () => {
    expect(pinImage(healthy, newer)).toEqual({
      image: newer.image,
      digest: `registry.example:5000/db/postgres@${NEWER_DIGEST}`,
    });
  });

  test('what a run that was interrupted brought on the first node, wherever the tag is by now', () => {
    const observed = bend(healthy, 'node-3', withRecord('db@sha256:first'));
    expect(pinImage(observed, newer)?.digest).toBe('db@sha256:first');
  });

  test("the primary's, where nodes differ", () => {
    const changed = bend(healthy, 'node-1', withRecord('db@sha256:primary'));
    const observed = bend(changed, 'node-3', withRecord('db@sha256:replica'));
    const moved = [...observed].reverse();
    expect(pinImage(moved, newer)?.digest).toBe('db@sha256:primary');
  });

  test('nothing, where nobody could tell', () => {
    const silent = healthy.map((node) => ({ ...node, host: { ...node.host, imageDigest: null } }));
    expect(pinImage(silent, newer)).toBeNull();
    expect(pinImage([], newer)).toBeNull();
  });
});
