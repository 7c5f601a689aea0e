import { describe, expect, test } from 'vitest';
import { ARCHIVING, findOwnArchiving } from './archiving.ts';
import { mergeSettings, type Settings } from './settings.ts';

describe('every server is ready to archive', () => {
  const merge = (chosen: Settings) => {
    const { archive_mode, archive_command, archive_library } = mergeSettings(chosen, {
      dataGib: 20,
    });
    return { archive_mode, archive_command, archive_library };
  };

  test('unless the team says otherwise', () => {
    expect(merge({})).toEqual({ ...ARCHIVING, archive_library: undefined });
    expect(merge({ archive_library: '' })).toEqual({ ...ARCHIVING, archive_library: '' });
    expect(merge({ archive_mode: 'off' })).toMatchObject({ archive_mode: 'off' });
  });

  test('archive_mode without a way to archive gets one, so that no WAL piles up', () => {
    expect(merge({ archive_mode: 'on' })).toMatchObject(ARCHIVING);
  });

  test.each<Settings>([{ archive_command: 'cp %p /x' }, { archive_command: '' }])(
    '%j was off and stays off',
    (chosen) => {
      expect(merge(chosen)).toEqual({ ...chosen });
    },
  );

  test('beside a library there is no command: PostgreSQL 16 archives nothing with both', () => {
    expect(merge({ archive_mode: 'on', archive_library: 'basic_archive' })).toEqual({
      archive_mode: 'on',
      archive_command: '',
      archive_library: 'basic_archive',
    });
    expect(merge({ archive_library: 'basic_archive' }).archive_mode).toBeUndefined();
  });
});

describe('beside backups', () => {
  test.each<Settings>([
    {},
    { archive_mode: 'on' },
    { archive_mode: 'YES' },
    { archive_command: ARCHIVING.archive_command ?? '' },
    { archive_library: '' },
    { archive_timeout: '1min' },
  ])('%j may be set', (chosen) => {
    expect(findOwnArchiving(chosen)).toEqual([]);
  });

  test.each<[string, string]>([
    ['archive_mode', 'off'],
    ['archive_mode', 'always'],
    ['archive_command', 'cp %p /x'],
    ['archive_command', ''],
    ['archive_library', 'basic_archive'],
  ])('%s = %j may not', (name, value) => {
    expect(findOwnArchiving({ work_mem: '4MB', [name]: value })).toEqual([name]);
  });
});
