import { describe, expect, test } from 'vitest';
import { findSetting } from '../../inputs/settings-input.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { listRefusals } from '../testing/rollout-fixtures.ts';
import { listImageNeeds, refuseMissingFromImage } from './image-needs.ts';
import { rollout } from './rollout.ts';

const SETTINGS = {
  work_mem: '5MB',
  lc_messages: 'de_DE.UTF-8',
  lc_time: '',
  shared_preload_libraries: 'pg_cron, "$libdir/Two", /opt/x.so, timescaledb.so',
  ssl_cert_file: '/etc/ssl/a.crt',
  ssl_ca_file: '',
};

describe('what settings require in the image', () => {
  test('is listed as locales, libraries and files, each with its setting', () => {
    expect(listImageNeeds(SETTINGS)).toEqual([
      { setting: 'lc_messages', kind: 'locale', name: 'de_DE.UTF-8' },
      { setting: 'shared_preload_libraries', kind: 'library', name: 'pg_cron' },
      { setting: 'shared_preload_libraries', kind: 'library', name: 'Two' },
      { setting: 'shared_preload_libraries', kind: 'library', name: 'timescaledb' },
      { setting: 'ssl_cert_file', kind: 'file', name: '/etc/ssl/a.crt' },
    ]);
    const elsewhere = { shared_preload_libraries: 'x', dynamic_library_path: '/opt' };
    expect(listImageNeeds(elsewhere)).toEqual([]);
  });

  test('is refused where the image lacks it', () => {
    const desired = createDesired({ settings: SETTINGS });
    const look = (imageLacks: number[] | null) =>
      createHealthy(desired).map((node) => ({
        ...node,
        postgres: node.postgres && { ...node.postgres, imageLacks },
      }));
    expect(refuseMissingFromImage(look([]), desired)).toEqual([]);
    expect(refuseMissingFromImage(look(null), desired)).toEqual([]);
    // A position that a node made up.
    expect(refuseMissingFromImage(look([99]), desired)).toEqual([]);
    const refusals = refuseMissingFromImage(look([0, 1, 4]), desired);
    expect(refusals.map(findSetting)).toEqual([
      'lc_messages',
      'shared_preload_libraries',
      'ssl_cert_file',
    ]);
    expect(refusals[0]).toMatch(
      /^settings: lc_messages = "de_DE\.UTF-8" is not allowed: postgres:17\S* has no such locale\. .*e\.g\. C\.UTF-8/,
    );
    expect(listRefusals(rollout(look([0]), desired))).toEqual([refusals[0]]);
  });
});
