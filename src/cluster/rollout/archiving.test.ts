import { describe, expect, test } from 'vitest';
import type { NodeObservation } from '../observation.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { listRolloutSteps } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

/** A node of a version that did not archive: its container has other options, and its file other settings. */
function before(node: NodeObservation): NodeObservation {
  const { postgres, files } = node;
  if (postgres === null) return node;
  const row = (name: string) => postgres.settings[name] as (typeof postgres.settings)[string];
  const off = { fromFile: false, default: 'off', setting: 'off' };
  const conf = (files.postgresqlConf ?? '').replace(/^archive_.*\n/gm, '');
  return {
    ...node,
    container: { state: 'running', current: false },
    files: { ...files, postgresqlConf: conf },
    postgres: {
      ...postgres,
      settings: {
        ...postgres.settings,
        archive_mode: { ...row('archive_mode'), ...off },
        archive_command: { ...row('archive_command'), ...off, default: '', setting: '(disabled)' },
      },
    },
  };
}

describe('a cluster of an earlier version', () => {
  const desired = createDesired();
  const observed = createHealthy(desired).map(before);

  test('restarts every node once, the primary last', () => {
    expect(listRolloutSteps(observed, desired)).toEqual([
      'check node-2',
      'restart node-2 (max_connections 100)',
      'restart node-3 (max_connections 100)',
      'switchover node-1 node-2',
      'reload node-3',
      'start node-1',
    ]);
  });

  test('is told why', () => {
    const result = rollout(observed, desired);
    const steps = result.kind === 'steps' ? result.steps : [];
    expect(steps.find(({ kind }) => kind === 'restart')?.reasons).toEqual({
      'node-2': [
        { kind: 'setting', name: 'archive_mode', before: 'off', after: 'on' },
        { kind: 'container' },
      ],
    });
  });
});
