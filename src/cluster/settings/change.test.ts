import { describe, expect, test } from 'vitest';
import type { NodeObservation } from '../observation.ts';
import { alterSystem, createDesired, createHealthy } from '../testing/fixtures.ts';
import { compareWithApplied, compareWithLive } from './change.ts';
import type { SettingInForce } from './settings.ts';

const before = createDesired({ settings: { max_connections: '100', work_mem: '8MB' } });
const primary = (): NodeObservation => createHealthy(before)[0] as NodeObservation;

function withRow(name: string, change: Partial<SettingInForce>): NodeObservation {
  const node = primary();
  const row = node.postgres?.settings[name];
  if (!node.postgres || !row) throw new Error(`no ${name}`);
  const settings = { ...node.postgres.settings, [name]: { ...row, ...change } };
  return { ...node, postgres: { ...node.postgres, settings } };
}

describe('a change compared with a running server', () => {
  test('is empty where everything is in force', () => {
    expect(compareWithLive(primary(), before)).toEqual([]);
  });

  test('has old and new values, and whether a reload is enough', () => {
    const desired = createDesired({ settings: { max_connections: '200', work_mem: '16MB' } });
    expect(compareWithLive(primary(), desired)).toEqual([
      { name: 'max_connections', before: '100', after: '200', takesEffect: 'restart' },
      { name: 'work_mem', before: '8MB', after: '16MB', takesEffect: 'reload' },
    ]);
  });

  test('shows the default for a removed setting', () => {
    const desired = createDesired({ settings: { max_connections: '100' } });
    expect(compareWithLive(primary(), desired)).toEqual([
      { name: 'work_mem', before: '8MB', after: '4MB', takesEffect: 'reload' },
    ]);
  });

  test('shows numbers in their units, and ignores spelling', () => {
    const size = { setting: '1024', unit: '8kB', type: 'integer', default: '512' };
    const node = withRow('work_mem', size);
    expect(compareWithLive(node, createDesired({ settings: { work_mem: '8192kB' } }))).toEqual([]);
    expect(compareWithLive(node, createDesired({ settings: { work_mem: '1GB' } }))).toEqual([
      { name: 'work_mem', before: '8MB', after: '1GB', takesEffect: 'reload' },
    ]);
    expect(compareWithLive(node, createDesired({ settings: {} }))).toEqual([
      { name: 'work_mem', before: '8MB', after: '4MB', takesEffect: 'reload' },
    ]);
  });

  test('shows what ALTER SYSTEM holds: no file takes effect', () => {
    const integer = (name: string) => withRow(name, { type: 'integer' });
    const node = alterSystem(integer('work_mem'), { name: 'work_mem', value: '1MB' });
    expect(compareWithLive(node, before)).toEqual([
      { name: 'work_mem', before: '1MB', after: '8MB', takesEffect: 'reset' },
    ]);
    const same = alterSystem(primary(), { name: 'work_mem', value: '8MB' });
    expect(compareWithLive(same, before)).toEqual([]);
    const sensitive = alterSystem(integer('max_connections'), {
      name: 'max_connections',
      value: '500',
    });
    expect(compareWithLive(sensitive, before)).toEqual([
      { name: 'max_connections', before: '500', after: '100', takesEffect: 'reset' },
    ]);
  });

  test('shows what ALTER SYSTEM wrote for the next start', () => {
    const node = alterSystem(withRow('max_connections', { type: 'integer' }), {
      name: 'max_connections',
      value: '500',
      running: '100',
    });
    expect(compareWithLive(node, before)).toEqual([
      { name: 'max_connections', before: '500', after: '100', takesEffect: 'reset' },
    ]);
  });

  test('hides free text that was never in the repository: it may be a secret', () => {
    const desired = createDesired({ settings: { work_mem: '4MB' } });
    const node = alterSystem(primary(), { name: 'work_mem', value: 'password=secret' });
    expect(compareWithLive(node, desired)).toEqual([
      { name: 'work_mem', before: null, after: '4MB', takesEffect: 'reset' },
    ]);
  });

  test('has the image first, and quorum commit as a setting', () => {
    const desired = createDesired({ ...before, image: 'postgres:17.7', synchronousReplicas: 1 });
    expect(compareWithLive(primary(), desired)).toEqual([
      { name: 'image', before: 'postgres:17', after: 'postgres:17.7', takesEffect: 'restart' },
      {
        name: 'synchronous_standby_names',
        before: '',
        after: 'ANY 1 (node_1, node_2, node_3)',
        takesEffect: 'reload',
      },
    ]);
  });
});

test('a change compared with what was applied last has only old and new values', () => {
  const applied = {
    image: 'postgres:17',
    settings: { max_connections: '100', work_mem: '8MB' },
    synchronousReplicas: 0,
    primary: null,
  };
  const desired = createDesired({ settings: { max_connections: '200' } });
  expect(compareWithApplied(applied, desired)).toEqual([
    { name: 'max_connections', before: '100', after: '200', takesEffect: null },
    { name: 'work_mem', before: '8MB', after: null, takesEffect: null },
  ]);
  expect(compareWithApplied(applied, before)).toEqual([]);
});
