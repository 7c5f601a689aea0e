import type { SettingChange } from '../cluster/settings/change.ts';
import { fitParts, fixed, type Section } from './budget.ts';
import { countNoun, renderCode, renderTable, renderText } from './markdown.ts';

/** The settings that change, and the source of their current values. */
export interface SettingsReport {
  readonly changes: readonly SettingChange[];
  /** `live`: the running primary; `applied`: the last applied inputs; `none`: nothing to compare with. */
  readonly source: 'live' | 'applied' | 'none';
  /** The primary that reported them. */
  readonly node: string | null;
}

/** Renders the changed settings as a table, nothing without changes. `whole` says where to find all of them. */
export function renderSettings(
  { changes, source, node }: SettingsReport,
  { shrinkOrder, whole }: { shrinkOrder: number; whole: string },
): Section {
  if (changes.length === 0) return fixed('');
  const rows = changes.map(({ name, before, after, takesEffect }) => [
    renderCode(name),
    `${renderValue(before)} → ${renderValue(after)}`,
    describeEffect(name, takesEffect),
  ]);
  const render = (count: number) =>
    [
      count === 0
        ? ''
        : renderTable(['setting', 'current → new', 'requires'], rows.slice(0, count)),
      count === rows.length
        ? ''
        : `✂️ Left out to fit: ${countNoun(rows.length - count, 'setting')}. ${whole}`,
      `<sub>${describeSource(source, node)}</sub>`,
    ]
      .filter((text) => text !== '')
      .join('\n\n');
  return { shrinkOrder, render: (room) => fitParts(rows.length, { room, render }) };
}

function describeEffect(name: string, takesEffect: SettingChange['takesEffect']): string {
  switch (takesEffect) {
    case 'reset':
      return `held by ALTER SYSTEM: ${renderCode(`ALTER SYSTEM RESET ${name}`)} first`;
    case null:
      return 'not known';
    default:
      return takesEffect;
  }
}

function renderValue(value: string | null): string {
  if (value === null) return '–';
  return value === '' ? '*empty*' : renderCode(value);
}

function describeSource(source: SettingsReport['source'], node: string | null): string {
  switch (source) {
    case 'live':
      return `“current” is what ${node === null ? 'the primary' : renderText(node)} runs with.`;
    case 'applied':
      return 'The nodes could not be asked: “current” is what was asked for last, which a failed deploy may not have applied.';
    case 'none':
      return '';
  }
}
