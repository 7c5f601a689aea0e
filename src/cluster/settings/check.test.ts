import { describe, expect, test } from 'vitest';
import { checkSettings } from './check.ts';
import type { SettingInForce } from './settings.ts';

function createRow(overrides: Partial<SettingInForce>): SettingInForce {
  return {
    setting: '',
    unit: null,
    context: 'user',
    type: 'string',
    min: null,
    max: null,
    words: [],
    default: null,
    fromFile: false,
    ...overrides,
  };
}

/** As PostgreSQL 17 reports them. */
const KNOWN: Record<string, SettingInForce> = {
  max_connections: createRow({ type: 'integer', min: '1', max: '262143', default: '100' }),
  shared_buffers: createRow({
    type: 'integer',
    unit: '8kB',
    min: '16',
    max: '1073741823',
    default: '16384',
  }),
  work_mem: createRow({
    type: 'integer',
    unit: 'kB',
    min: '64',
    max: '2147483647',
    default: '4096',
  }),
  checkpoint_timeout: createRow({
    type: 'integer',
    unit: 's',
    min: '30',
    max: '86400',
    default: '300',
  }),
  wal_buffers: createRow({ type: 'integer', unit: '8kB', min: '-1', max: '262143', default: '-1' }),
  random_page_cost: createRow({ type: 'real', min: '0', max: '1.79769e+308', default: '4' }),
  vacuum_cost_delay: createRow({ type: 'real', unit: 'ms', min: '0', max: '100', default: '0' }),
  jit: createRow({ type: 'bool', default: 'on' }),
  log_statement: createRow({
    type: 'enum',
    words: ['none', 'ddl', 'mod', 'all'],
    default: 'none',
  }),
  huge_pages: createRow({ type: 'enum', words: ['off', 'on', 'try'], default: 'try' }),
  log_line_prefix: createRow({ default: '%m [%p] ' }),
  block_size: createRow({ type: 'integer', context: 'internal', setting: '8192' }),
};

describe('checkSettings', () => {
  test.each<[string, string]>([
    ['max_connections', '200'],
    ['shared_buffers', '1.5GB'],
    ['shared_buffers', '16'],
    ['work_mem', '64kB'],
    ['work_mem', ' 0x40 kB '],
    ['checkpoint_timeout', '1d'],
    ['checkpoint_timeout', '0.5min'],
    ['wal_buffers', '-1'],
    ['random_page_cost', '1.1'],
    ['vacuum_cost_delay', '500us'],
    ['jit', 'F'],
    ['log_statement', 'DDL'],
    ['huge_pages', 'false'],
    ['log_line_prefix', '%m %u'],
    ['pg_stat_statements.max', 'anything'],
  ])('%s = %s is fine', (name, value) => {
    expect(checkSettings({ [name]: value }, KNOWN)).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['max_connections', '5000000', 'max_connections = 5000000 is above its maximum 262143.'],
    [
      'max_connections',
      '99999999999',
      'max_connections = 99999999999 is above its maximum 262143.',
    ],
    ['max_connections', '-5', 'max_connections = -5 is below its minimum 1.'],
    [
      'max_connections',
      'lots',
      'max_connections = "lots" is not allowed. Allowed: a whole number from 1 to 262143, e.g. 100.',
    ],
    [
      'max_connections',
      '1GB',
      'max_connections = "1GB" is not allowed. Allowed: a whole number from 1 to 262143, e.g. 100.',
    ],
    ['shared_buffers', '100kB', 'shared_buffers = 100kB is below its minimum 128kB.'],
    [
      'shared_buffers',
      '8',
      'shared_buffers = 8 is below its minimum 128kB; without a unit it counts 8kB.',
    ],
    ['shared_buffers', '100TB', 'shared_buffers = 100TB is above its maximum 8589934584kB.'],
    [
      'shared_buffers',
      '256mb',
      'shared_buffers = "256mb" is not allowed. Allowed: a whole number from 128kB to 8589934584kB with a unit of TB, GB, MB, kB, B (PostgreSQL is case-sensitive about them), e.g. 128MB.',
    ],
    ['work_mem', '63.4kB', 'work_mem = 63.4kB is below its minimum 64kB.'],
    ['checkpoint_timeout', '10s', 'checkpoint_timeout = 10s is below its minimum 30s.'],
    ['wal_buffers', '-2', 'wal_buffers = -2 is below its minimum -1.'],
    ['vacuum_cost_delay', '1s', 'vacuum_cost_delay = 1s is above its maximum 100ms.'],
    [
      'random_page_cost',
      'cheap',
      'random_page_cost = "cheap" is not allowed. Allowed: a number from 0 to 1.79769e+308, e.g. 4.',
    ],
    ['jit', 'maybe', 'jit = "maybe" is not allowed. Allowed: on or off, e.g. on.'],
    [
      'log_statement',
      'some',
      'log_statement = "some" is not allowed. Allowed: none, ddl, mod, all, e.g. none.',
    ],
    [
      'block_size',
      '4096',
      'block_size cannot be set: it was fixed when the server was built or its data was made, and is 8192. Remove the line.',
    ],
    [
      'shared_bufers',
      '1GB',
      'the server knows no setting "shared_bufers". Did you mean shared_buffers?',
    ],
  ])('%s = %s is a problem', (name, value, expected) => {
    expect(checkSettings({ [name]: value }, KNOWN)).toEqual([`settings: ${expected}`]);
  });

  test('a removed name comes with its replacement, not with a similar name', () => {
    const settings = { wal_keep_segments: '32', ssl_ecdh_curve: 'prime256v1' };
    expect(checkSettings(settings, KNOWN)).toEqual([
      expect.stringMatching(/^settings: PostgreSQL has had no wal_keep_segments .* wal_keep_size/),
      expect.stringMatching(/^settings: PostgreSQL has had no ssl_ecdh_curve .* ssl_groups/),
    ]);
  });

  test('a name that resembles no other is only refused', () => {
    for (const name of ['fast', 'constructor', '__proto__']) {
      const settings = Object.fromEntries([[name, 'on']]);
      expect(checkSettings(settings, KNOWN, 'request.settings')).toEqual([
        expect.stringMatching(
          `^request.settings: the server knows no setting "${name}"\\. Correct the name`,
        ),
      ]);
    }
  });

  test('reports all problems at once', () => {
    expect(checkSettings({ jit: 'x', work_mem: '1kB', log_statement: 'all' }, KNOWN)).toHaveLength(
      2,
    );
  });
});
