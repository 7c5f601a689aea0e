import { describe, expect, test } from 'vitest';
import { createOperation, readStep } from './input-fixtures.ts';
import type { RawInputs } from './step-inputs.ts';

describe('settings', () => {
  const readSettings = (overrides: RawInputs) => {
    const { inputs, problems } = readStep(overrides);
    expect(problems).toEqual([]);
    return inputs?.spec.settings;
  };

  test('are parsed like postgresql.conf and merged with the single inputs', () => {
    const settings = "Work_Mem = 8MB # reports\n\nlog_line_prefix = '%m '\n";
    expect(readSettings({ settings, 'max-connections': '0200' })).toEqual({
      max_connections: '200',
      shared_buffers: '256MB',
      work_mem: '8MB',
      log_line_prefix: '%m ',
    });
  });

  test('replace an empty single input', () => {
    const settings = 'max_connections = 300\nshared_buffers = 1.5GB';
    expect(readSettings({ settings })).toEqual({
      max_connections: '300',
      shared_buffers: '1.5GB',
    });
    expect(readStep({ settings, 'max-connections': '300' }).problems).toEqual([
      'max-connections: max_connections is given in settings, line 1, as well. Keep one of them.',
    ]);
  });

  test('conflict with a single input, unless an event sets it', () => {
    const body = createOperation('configure', { max_connections: 300 });
    const { inputs } = readStep({ settings: 'max_connections = 200\njit = off' }, body);
    expect(inputs?.spec.settings).toMatchObject({ max_connections: '300', jit: 'off' });
    const single = JSON.stringify({ max_connections: 300 });
    expect(readStep({ request: single, settings: 'max_connections = 200' }).problems).toEqual([
      'request.max_connections: max_connections is given in settings, line 1, as well. Keep one of them.',
    ]);
    const lines = JSON.stringify({ settings: 'max_connections = 300' });
    expect(readStep({ request: lines, 'max-connections': '200' }).problems).toEqual([
      'max-connections: max_connections is given in request.settings, line 1, as well. Keep one of them.',
    ]);
    const both = JSON.stringify({ settings: 'max_connections = 300', max_connections: 200 });
    expect(readStep({ request: both }).problems).toEqual([
      'request.max_connections: max_connections is given in request.settings, line 1, as well. Keep one of them.',
    ]);
  });

  test('report all invalid lines', () => {
    const settings = 'port = 5433\n\nwork_mem\nmax_wal_senders = 3\nfsync = off';
    expect(readStep({ settings }).problems).toEqual([
      expect.stringMatching(/^settings: line 1: port is not allowed\. .*5432/),
      expect.stringMatching(/^settings: line 3: work_mem has no value/),
      expect.stringMatching(/^settings: line 4: max_wal_senders = 3 is not enough for 2 replicas/),
      expect.stringMatching(/^settings: line 5: fsync = off is not allowed/),
    ]);
  });
});
