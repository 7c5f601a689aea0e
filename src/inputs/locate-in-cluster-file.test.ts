import { describe, expect, test } from 'vitest';
import { CLUSTER_FILE_PATH, MINIMAL_FILE, parseFile } from './cluster-file-fixtures.ts';
import { locateInFile } from './locate-in-cluster-file.ts';
import type { RawInputs } from './step-inputs.ts';

describe('locateInFile', () => {
  test('locates a problem that names an input at its key', async () => {
    const file = await parseFile(MINIMAL_FILE);
    const locate = (problem: string, given: RawInputs = {}) =>
      locateInFile(problem, { path: CLUSTER_FILE_PATH, file, given });
    expect(locate('cluster-name: the state is of billing.')).toMatchObject({
      file: CLUSTER_FILE_PATH,
      startLine: 1,
    });
    expect(locate('cluster-name: no', { 'cluster-name': 'orders' })).toBeNull();
    expect(locate('region: nowhere')).toBeNull();
  });

  test.each<[string, number]>([
    ['settings: the server knows no setting "shared_bufers". Did you mean shared_buffers?', 6],
    ['settings: PostgreSQL has had no wal_keep_segments since version 13. Use wal_keep_size.', 7],
    ['settings: work_mem = 1kB is below its minimum 64kB.', 5],
    ['settings: jit = "x" is not allowed.', 4],
    ['settings: shared_buffers (8GB) is more than the memory.', 4],
  ])('locates a problem that the server found at its setting: %s', async (problem, startLine) => {
    const settings = '  Work_Mem: 1kB\n  shared_bufers: 1GB\n  wal_keep_segments: 32\n';
    const file = await parseFile(`${MINIMAL_FILE}settings:\n${settings}`);
    expect(locateInFile(problem, { path: CLUSTER_FILE_PATH, file, given: {} })).toMatchObject({
      file: CLUSTER_FILE_PATH,
      startLine,
    });
  });
});
