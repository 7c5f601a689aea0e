import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import {
  computeNodeSettings,
  IDENTITY_SETTINGS,
  renderSynchronous,
} from '../rollout/node-settings.ts';
import { showSetting } from './check.ts';
import { isInForce, mergeSettings, type SettingInForce, type Settings } from './settings.ts';

/** A setting whose value changes. */
export interface SettingChange {
  /** PostgreSQL's name, or `image`. */
  readonly name: string;
  /** As a person would write it; null where there was none, or it is unknown. */
  readonly before: string | null;
  /** Null: the setting is removed, and its default is unknown. */
  readonly after: string | null;
  /**
   * What makes it take effect; `reset`: ALTER SYSTEM overrides every file until it is reset; null where only the server
   * could tell.
   */
  readonly takesEffect: 'reload' | 'restart' | 'reset' | null;
}

/** What the last deploy requested. */
export interface AppliedDatabase {
  /** Image reference, e.g. `postgres:17`. */
  readonly image: string;
  readonly settings: Settings;
  readonly synchronousReplicas: number;
  /** The node that was requested as the primary; null: any. Another node may have become the primary since. */
  readonly primary: string | null;
}

/** Returns what `desired` changes of the settings that the running `primary` has in force, the image first. */
export function compareWithLive(
  primary: NodeObservation,
  desired: DesiredCluster,
): SettingChange[] {
  const rows = primary.postgres?.settings ?? {};
  const { final } = computeNodeSettings(desired, primary);
  const asked = complete(desired.settings, desired);
  const names = new Set([...Object.keys(final), ...Object.keys(rows)]);
  const changes = [...names].sort().flatMap((name): SettingChange[] => {
    const row = rows[name];
    const override = primary.overrides[name];
    // The rollout adapts to what ALTER SYSTEM set; the team did not ask for it.
    const wanted = override === undefined ? final[name] : asked[name];
    if (row === undefined) {
      return wanted === undefined ? [] : [{ name, before: null, after: wanted, takesEffect: null }];
    }
    if (row.context === 'internal') return [];
    const isOurs = row.fromFile && !IDENTITY_SETTINGS.includes(name);
    if (wanted === undefined && !isOurs && override === undefined) return [];
    const value = wanted ?? row.default;
    // What ALTER SYSTEM wrote may take effect only after the next start.
    const held = override === undefined ? row : { ...row, setting: override };
    if (value !== null && isInForce(value, row) && isInForce(value, held)) return [];
    return [
      {
        name,
        before: showBefore(row, override),
        after: wanted ?? (row.default === null ? null : showSetting(row.default, row)),
        takesEffect:
          override !== undefined ? 'reset' : row.context === 'postmaster' ? 'restart' : 'reload',
      },
    ];
  });
  return [...compareImages(primary.record?.image ?? null, desired.image), ...changes];
}

/** Hides free text that was never in the repository: it may contain a secret. */
function showBefore(row: SettingInForce, override: string | undefined): string | null {
  if (override === undefined) return showSetting(row.setting, row);
  return row.type === 'string' ? null : override;
}

/** Returns how `desired` differs from the settings that were requested last, the image first. */
export function compareWithApplied(
  applied: AppliedDatabase,
  desired: DesiredCluster,
): SettingChange[] {
  const before = complete(applied.settings, { ...desired, ...applied });
  const after = complete(desired.settings, desired);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return [
    ...compareImages(applied.image, desired.image),
    ...names
      .filter((name) => before[name] !== after[name])
      .map((name) => ({
        name,
        before: before[name] ?? null,
        after: after[name] ?? null,
        takesEffect: null,
      })),
  ];
}

function complete(
  settings: Settings,
  desired: Parameters<typeof renderSynchronous>[0] & Pick<DesiredCluster, 'storage'>,
): Settings {
  return {
    ...mergeSettings(settings, desired.storage),
    synchronous_standby_names: renderSynchronous(desired),
  };
}

function compareImages(before: string | null, after: string): SettingChange[] {
  if (before === null || before === after) return [];
  return [{ name: 'image', before, after, takesEffect: 'restart' }];
}
