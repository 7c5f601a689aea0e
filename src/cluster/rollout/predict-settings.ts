import type { NodeObservation } from '../observation.ts';
import { HOT_STANDBY_SENSITIVE, type SettingInForce, type Settings } from '../settings/settings.ts';

/** Returns the settings of a server, from what it reported before, or what another server reports. */
export function buildSettings(
  node: NodeObservation,
  settings: Settings,
  nodes: readonly NodeObservation[],
): Readonly<Record<string, SettingInForce>> {
  const own = node.postgres?.settings;
  if (own) return own;
  const others = nodes.find(({ postgres }) => postgres !== null)?.postgres?.settings;
  const catalogue = Object.entries(others ?? {}).map(
    ([name, inForce]) => [name, { ...inForce, fromFile: true }] as const,
  );
  const assumed = Object.entries(settings).map(
    ([name, setting]) => [name, assumeSetting(name, setting)] as const,
  );
  return { ...Object.fromEntries(assumed), ...Object.fromEntries(catalogue) };
}

/** Without a server's report, only the hot-standby-sensitive settings are known to require a restart. */
function assumeSetting(name: string, setting: string): SettingInForce {
  const context = HOT_STANDBY_SENSITIVE.includes(name) ? 'postmaster' : 'sighup';
  return {
    ...{ setting, context, unit: null, type: 'string', min: null, max: null, words: [] },
    ...{ default: null, fromFile: true },
  };
}

/** Returns the settings as a server runs with them once it has read `settings`; only those that `applies` accepts change. */
export function setInForce(
  running: Readonly<Record<string, SettingInForce>>,
  { settings, applies }: { settings: Settings; applies: (inForce: SettingInForce) => boolean },
): Readonly<Record<string, SettingInForce>> {
  const entries = Object.entries(running).map(([name, inForce]) => {
    if (!applies(inForce)) return [name, inForce] as const;
    const value = settings[name];
    if (value !== undefined) {
      // Without a unit, so that values are compared as written.
      return [name, { ...inForce, setting: value, unit: null, fromFile: true }] as const;
    }
    if (!inForce.fromFile) return [name, inForce] as const;
    return [name, { ...inForce, setting: inForce.default ?? '', fromFile: false }] as const;
  });
  return Object.fromEntries(entries);
}
