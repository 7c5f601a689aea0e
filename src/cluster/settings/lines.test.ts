import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderPostgresqlConf } from '../configuration.ts';
import { parseSettingLines } from './lines.ts';

const read = (text: string) => {
  const { given, problems } = parseSettingLines(text);
  expect(problems).toEqual([]);
  return Object.fromEntries(given.map(({ name, value }) => [name, value]));
};

describe('parseSettingLines', () => {
  // Each as PostgreSQL 17 shows it in pg_file_settings.
  test.each<[string, string, string]>([
    ['work_mem = 8MB', 'work_mem', '8MB'],
    ['work_mem 8MB', 'work_mem', '8MB'],
    ['work_mem=8MB # for reports', 'work_mem', '8MB'],
    ['\tWORK_MEM  =  +8MB\r', 'work_mem', '+8MB'],
    ["work_mem'8MB'", 'work_mem', '8MB'],
    ["work_mem = ' 8 MB '#", 'work_mem', ' 8 MB '],
    ['random_page_cost = 1.5e1', 'random_page_cost', '1.5e1'],
    ['random_page_cost = .5', 'random_page_cost', '.5'],
    ['timezone = Europe/Berlin', 'timezone', 'Europe/Berlin'],
    ["log_line_prefix = '%m # [%p] '", 'log_line_prefix', '%m # [%p] '],
    ["archive_command = ''", 'archive_command', ''],
    ["pg_stat_statements.max = '1'", 'pg_stat_statements.max', '1'],
    ["a.b = 'x\\\\y''z\\'\\101\\tb'", 'a.b', "x\\y'z'A\tb"],
  ])('%j', (line, name, value) => {
    expect(read(line)).toEqual({ [name]: value });
  });

  test('accepts numbers that postgresql.conf requires in quotes', () => {
    expect(read('shared_buffers = 1.5GB\ncpu_tuple_cost = 1e-2')).toEqual({
      shared_buffers: '1.5GB',
      cpu_tuple_cost: '1e-2',
    });
  });

  test('knows the number of each line', () => {
    const { given } = parseSettingLines('# memory\n\nwork_mem = 8MB\n  # more\njit = off\n');
    expect(given.map(({ name, line }) => [name, line])).toEqual([
      ['work_mem', 3],
      ['jit', 5],
    ]);
  });

  test.each<[string, RegExp]>([
    ['log_line_prefix = %m', /^line 1: "log_line_prefix = %m" is not allowed\. Allowed: name = /],
    ['shared_preload_libraries = a,b', /single quotes/],
    ['work_mem = 8 MB', /is not allowed/],
    ['work_mem = 8MB;', /is not allowed/],
    ['work_mem == 8MB', /is not allowed/],
    ['work_mem = "8MB"', /is not allowed/],
    ["work_mem = '8MB", /is not allowed/],
    ["work_mem = '8MB\\'", /is not allowed/],
    ["work_mem = '8MB'x", /is not allowed/],
    ['a.b.c = 1', /is not allowed/],
    ['a$b = 1', /is not allowed/],
    ['= 3', /is not allowed/],
    ['- work_mem: 8MB', /is not allowed/],
    ['work_mem =', /^line 1: work_mem has no value\. Give one, '' for an empty one/],
    ['work_mem # 8MB', /has no value/],
    ["a.b = 'x\\0'", /printable characters/],
    ["a.b = 'x\\377'", /printable characters/],
  ])('%j is a problem', (line, expected) => {
    const { given, problems } = parseSettingLines(line);
    expect(given).toEqual([]);
    expect(problems).toEqual([expect.stringMatching(expected)]);
  });

  test('reports every line at once, and repeated names in any case', () => {
    expect(parseSettingLines('work_mem = 1MB\n!\nWork_Mem = 2MB\njit =').problems).toEqual([
      expect.stringMatching(/^line 2: "!" is not allowed/),
      'line 3: work_mem was given in line 1 already. Keep one of them.',
      expect.stringMatching(/^line 4: jit has no value/),
    ]);
  });

  test('reads back whatever is written to postgresql.conf', () => {
    const value = fc
      .string({ unit: fc.oneof(fc.constantFrom("'", '\\', '\n', '\t', '#', '0'), fc.string()) })
      .filter((text) => !/[^\P{Cc}\t\n]/u.test(text));
    fc.assert(
      fc.property(value, (text) => {
        const conf = renderPostgresqlConf({
          node: 'node-1',
          clusterName: 'postgres',
          settings: { 'a.b': text },
          upstream: null,
        });
        expect(read(conf)).toEqual({ cluster_name: 'postgres/node-1', 'a.b': text });
      }),
    );
  });
});
