import { describe, expect, test } from 'vitest';
import type { StepReason } from '../cluster/rollout/reason.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { describeReasons } from './step-reasons.ts';
import { listSteps, renderSteps } from './steps.ts';

const plain = (text: string) => text;
const explain = (...reasons: readonly StepReason[]) =>
  describeReasons({ reasons: { 'node-2': reasons } }, plain);
const setting = (name: string, before = '1', after: string | null = '2'): StepReason => ({
  kind: 'setting',
  name,
  before,
  after,
});

const RESTART = { kind: 'restart', nodes: ['node-2'], primary: 'node-1', settings: {} } as const;

describe('the reasons of a step', () => {
  test.each<[string, StepReason, string]>([
    [
      'a setting',
      setting('max_connections', '100', '200'),
      'max_connections 100 → 200 needs a restart',
    ],
    [
      'a removed setting',
      setting('max_connections', '100', null),
      'max_connections 100 → its default needs a restart',
    ],
    [
      'a setting that was empty',
      setting('shared_preload_libraries', '', 'pg_cron'),
      'shared_preload_libraries empty → pg_cron needs a restart',
    ],
    [
      'an image',
      { kind: 'image', before: 'postgres:17.1', after: 'postgres:17.2' },
      'the image changes from postgres:17.1 to postgres:17.2',
    ],
    ['a container', { kind: 'container' }, 'the options of the container changed'],
    ['no data', { kind: 'no-data' }, 'it holds no data'],
    [
      'a file system that grows',
      { kind: 'grow', volume: 'root', before: 15.9 * 1024 ** 3, after: 2 * 1024 ** 4 },
      'root 15.9 GiB → 2 TiB',
    ],
    ['a lost slot', { kind: 'slot-lost' }, 'its slot lost the WAL it needs'],
    [
      'removed WAL',
      { kind: 'wal-removed', lsn: '0/1', oldest: '0/2' },
      'it has changes up to 0/1, and the WAL of the primary begins at 0/2',
    ],
    [
      'archived WAL',
      { kind: 'wal-archived', bytes: 2 * 1024 ** 3 },
      'the archive has it, 2 GiB to replay',
    ],
    [
      'a divergence',
      { kind: 'diverged', timeline: 1, lsn: '0/2', end: '0/1' },
      'its data went another way (it wrote up to 0/2 on timeline 1, which the primary left at 0/1)',
    ],
    ['a node that leaves', { kind: 'leaves', node: 'node-1' }, 'node-1 leaves'],
    [
      'a wanted primary',
      { kind: 'wanted-primary', node: 'node-2' },
      'node-2 was asked for as primary',
    ],
    [
      'the order',
      { kind: 'primary-last', primary: 'node-1', successor: 'node-2' },
      'the primary changes last, so node-2 takes over first',
    ],
    [
      'the quorum',
      { kind: 'quorum', before: 2, after: 1 },
      'commits wait for 1 replica instead of 2',
    ],
    [
      'slots',
      { kind: 'slots', missing: ['node_2'], retired: ['node_4'] },
      'slot node_2 is missing; slot node_4 is not needed any more',
    ],
    [
      'several slots',
      { kind: 'slots', missing: ['node_2', 'node_3'], retired: ['node_4', 'node_5'] },
      'slots node_2, node_3 are missing; slots node_4, node_5 are not needed any more',
    ],
    [
      'files',
      { kind: 'configuration', parts: ['postgresql.conf', 'leftover-slots'] },
      'postgresql.conf changes; it keeps slots from its time as primary',
    ],
    ['a host', { kind: 'host', parts: ['docker', 'volume'] }, 'not ready: Docker, data volume'],
  ])('are in words for %s', (_, reason, text) => {
    expect(explain(reason)).toBe(`Why: ${text}.`);
  });

  test('are left out where the description says them, or where there are none', () => {
    expect(explain({ kind: 'missing' })).toBe('');
    expect(describeReasons({}, plain)).toBe('');
  });

  test('are limited in number and length', () => {
    const many = Array.from({ length: 9 }, (_, index) => setting(`setting_${index}`));
    expect(explain(...many)).toMatch(/setting_3 1 → 2 needs a restart; 5 more\.$/);
    const reasons = { 'node-2': [setting('listen_addresses', 'a'.repeat(5_000))] };
    const step: Step = { ...RESTART, reasons };
    expect(renderSteps([step]).length).toBeLessThan(400);
    // The runner's masks match whole values only.
    expect(listSteps([step])[0]).toContain('a'.repeat(5_000));
  });

  test('name four slots of any number', () => {
    const slots = Array.from({ length: 1_000 }, (_, index) => `node_${index + 1}`);
    const some = 'slots node_1, node_2, node_3, node_4 and 996 more are';
    expect(explain({ kind: 'slots', missing: slots, retired: slots })).toBe(
      `Why: ${some} missing; ${some} not needed any more.`,
    );
  });

  test('name the nodes where they differ', () => {
    const reasons = {
      'node-2': [{ kind: 'no-data' }],
      'node-3': [{ kind: 'slot-lost' }],
      'node-4': [{ kind: 'no-data' }],
    } as const;
    expect(describeReasons({ reasons }, plain)).toBe(
      'Why: (node-2, node-4) it holds no data; (node-3) its slot lost the WAL it needs.',
    );
  });

  test('cannot break out of the list of the comment or of the log', () => {
    const step: Step = {
      ...RESTART,
      reasons: { 'node-2': [setting('listen_addresses', '*', '`\n::error::@all')] },
    };
    expect(renderSteps([step])).toMatch(/ `\*` → <code>[^\n`@]*<\/code> needs a restart\.$/);
    expect(listSteps([step])[0]).toMatch(
      / listen_addresses \* → ` ::error::@all needs a restart\.$/,
    );
  });
});
