import { describe, expect, test } from 'vitest';
import { renderFiles } from '../desired.ts';
import type { LogicalSlotObservation, NodeObservation } from '../observation.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps } from '../testing/rollout-fixtures.ts';
import { findSlotFates } from './logical-slots.ts';
import { computeNodeSettings } from './node-settings.ts';
import { rollout } from './rollout.ts';

const LOGICAL = { max_connections: '100', shared_buffers: '256MB', wal_level: 'logical' };
const desired = createDesired({ settings: LOGICAL });
const moved = { ...desired, primary: 'node-2' };

const slot = (
  name: string,
  more: Partial<LogicalSlotObservation> = {},
): LogicalSlotObservation => ({
  name,
  database: 'shop',
  plugin: 'pgoutput',
  active: true,
  failover: false,
  synced: false,
  invalid: false,
  leftover: false,
  ...more,
});

const COPY = 'sync_replication_slots';
const row = ({ settings }: NonNullable<NodeObservation['postgres']>) =>
  settings.wal_level as (typeof settings)[string];

/** The nodes, node-1 being the primary with these slots. */
function observe(
  slots: readonly LogicalSlotObservation[],
  { version = 170_006, on = 'node-1' } = {},
): NodeObservation[] {
  const major = Math.floor(version / 10_000);
  return createHealthy(desired).map((node) => ({
    ...node,
    record: node.record && { ...node.record, major, image: `postgres:${major}` },
    postgres: node.postgres && {
      ...node.postgres,
      version,
      logicalSlots: node.name === on ? slots : [],
    },
  }));
}

/** As a version left them that had no slots copied. */
const old = observe([slot('cdc', { failover: true })]);
/** As this one leaves them. */
const settled = old.map((node) => {
  const [primary] = old as [NodeObservation];
  const { final: settings } = computeNodeSettings(desired, primary);
  const files = renderFiles(desired, { node: node.name, primary: 'node-1', settings });
  return { ...node, files: { ...node.files, ...files } };
});

describe('replicas copy failover slots', () => {
  test('after a reload before the switchover', () => {
    expect(listRolloutSteps(old, moved)).toEqual([
      'admit node-1',
      'reload node-2',
      'switchover node-1 node-2',
      'reload node-3',
      'start node-1',
    ]);
    expect(listRolloutSteps(settled, moved)[0]).toBe('switchover node-1 node-2');
    expect(listRolloutSteps(settled, desired)).toEqual([]);
  });

  test('only once every server has wal_level = logical, without which early releases of 17 exit', () => {
    const lower = changeNode(old, 'node-3', ({ postgres }) => ({
      postgres: postgres && {
        ...postgres,
        settings: { ...postgres.settings, wal_level: { ...row(postgres), setting: 'replica' } },
      },
    }));
    const [primary, ...replicas] = lower as [NodeObservation];
    expect(computeNodeSettings(desired, primary, replicas).final).not.toHaveProperty(COPY);
    expect(computeNodeSettings(desired, primary).final).toMatchObject({
      [COPY]: 'on',
      hot_standby_feedback: 'on',
    });
    const held = changeNode(old, 'node-1', () => ({ overrides: { wal_level: 'replica' } }));
    expect(computeNodeSettings(desired, held[0] as NodeObservation).final).not.toHaveProperty(COPY);
  });

  test.each([
    ['before 17', LOGICAL, 160_004],
    ['without wal_level = logical', { max_connections: '100' }, 170_006],
    ['where the team keeps feedback off', { ...LOGICAL, hot_standby_feedback: 'no' }, 170_006],
  ])('not %s', (_, settings, version) => {
    const [primary] = observe([], { version }) as [NodeObservation];
    const { final } = computeNodeSettings({ ...desired, settings }, primary);
    expect(final).not.toHaveProperty(COPY);
    expect(final.hot_standby_feedback).toBe(
      'hot_standby_feedback' in settings ? settings.hot_standby_feedback : 'off',
    );
  });
});

describe('a switchover that would lose slots is refused', () => {
  const slots = [slot('cdc'), slot('copied', { failover: true }), slot('dead', { invalid: true })];

  test('with their names and what to do', () => {
    expect(rollout(observe(slots), moved)).toEqual({
      kind: 'refused',
      refusals: [
        "node-1: logical slot cdc would be lost with the switchover to node-2, and its consumer would miss changes without a fresh copy. Only slots with failover are copied to the replicas: ALTER SUBSCRIPTION … SET (failover = true) while the subscription is disabled, or make the slot with failover => true. Or drop the slots that nobody needs: SELECT pg_drop_replication_slot('<name>'). To let them go, deploy with a pull request that carries the label of allow-slot-loss-label.",
      ],
    });
  });

  test('always before 17, with the way to restart the primary in place', () => {
    const observed = observe([slot('cdc', { failover: true })], { version: 160_004 });
    const settings = { ...LOGICAL, max_connections: '200' };
    const raised = { ...desired, image: 'postgres:16', settings };
    expect(rollout(observed, raised)).toMatchObject({
      kind: 'refused',
      refusals: [
        expect.stringMatching(
          /slot cdc would be lost .* Before PostgreSQL 17 .* With primary: node-1 the primary is restarted where it is/,
        ),
      ],
    });
    const steps = listRolloutSteps(observed, { ...raised, primary: 'node-1' });
    expect(steps).toContain('restart node-1 (max_connections 200)');
    expect(steps.some((step) => step.startsWith('switchover'))).toBe(false);
  });

  test('unless their loss is allowed', () => {
    const allowed = { ...moved, allowsSlotLoss: true };
    expect(listRolloutSteps(observe(slots), allowed)).toContain('switchover node-1 node-2');
    expect(rollout(observe(slots), allowed)).toMatchObject({
      losses: { slotLoss: expect.stringMatching(/slot cdc would be lost/), backupLoss: null },
    });
  });

  test('also where the primary is removed', () => {
    const [first, ...nodes] = desired.nodes as [(typeof desired.nodes)[number]];
    const smaller = { ...desired, nodes, leaving: [first] };
    expect(rollout(observe(slots), smaller)).toMatchObject({
      kind: 'refused',
      refusals: [expect.stringMatching(/^node-1: logical slot cdc would be lost/)],
    });
  });

  test('only if a slot is lost', () => {
    expect(listRolloutSteps(observe(slots.slice(1)), moved)).toContain('switchover node-1 node-2');
  });
});

test('findSlotFates tells what happens to each slot of the primary', () => {
  const slots = [slot('cdc'), slot('copied', { failover: true }), slot('dead', { invalid: true })];
  const fates = (steps: Parameters<typeof findSlotFates>[1]) =>
    findSlotFates(observe(slots), steps).map(({ name, fate }) => `${name} ${fate}`);
  expect(fates([])).toEqual(['cdc kept', 'copied kept', 'dead invalid']);
  const result = rollout(observe(slots), { ...moved, allowsSlotLoss: true });
  expect(fates(result.kind === 'steps' ? result.steps : [])).toEqual([
    'cdc lost',
    'copied synchronised',
    'dead invalid',
  ]);
});

describe('wal_level stays logical', () => {
  const lowered = { ...desired, settings: { max_connections: '100' } };

  test('while a server that has slots would be restarted', () => {
    const copies = observe([slot('cdc', { failover: true, synced: true })], { on: 'node-2' });
    expect(rollout(copies, lowered)).toMatchObject({
      kind: 'refused',
      refusals: [
        expect.stringMatching(/^wal_level: node-2 has logical slot cdc and would not start/),
      ],
    });
    const both = changeNode(copies, 'node-1', ({ postgres }) => ({
      postgres: postgres && { ...postgres, logicalSlots: [slot('cdc', { failover: true })] },
    }));
    // The copy goes with the primary's.
    expect(rollout(both, lowered)).toEqual({
      kind: 'refused',
      refusals: [expect.stringMatching(/^wal_level: node-1 has logical slot cdc /)],
    });
    expect(listRolloutSteps(observe([]), lowered)).toContain('switchover node-1 node-2');
  });
});

test('a former primary drops the slots of its time as primary, and no others', () => {
  const withFiles = (slots: readonly LogicalSlotObservation[]) =>
    observe(slots, { on: 'node-2' }).map((node, index) => ({
      ...node,
      files: settled[index]?.files ?? node.files,
    }));
  expect(listRolloutSteps(withFiles([slot('cdc', { leftover: true })]), desired)).toEqual([
    'reload node-2',
  ]);
  expect(listRolloutSteps(withFiles([slot('analytics')]), desired)).toEqual([]);
});
