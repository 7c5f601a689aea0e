import type { SettingChange } from '../cluster/settings/change.ts';
import { fitParts, fixed, type Section } from './budget.ts';
import { countNoun, renderCode, renderTable, renderText } from './markdown.ts';

/** The settings that change, and who says what they are until now. */
export interface SettingsReport {
  readonly changes: readonly SettingChange[];
  /** `live`: the running primary; `applied`: what was asked for last; `none`: there is nothing to compare with. */
  readonly source: 'live' | 'applied' | 'none';
  /** The primary that said it. */
  readonly node: string | null;
}

/** The settings as a table, old → new; left out where none changes. `whole` says where all of them are. */
export function renderSettings(
  { changes, source, node }: SettingsReport,
  { givesWay, whole }: { givesWay: number; whole: string },
): Section {
  if (changes.length === 0) return fixed('');
  const rows = changes.map(({ name, before, after, takesEffect }) => [
    renderCode(name),
    renderValue(before),
    renderValue(after),
    describeEffect(name, takesEffect),
  ]);
  const render = (count: number) =>
    [
      count === 0 ? '' : renderTable(['setting', 'now', 'then', 'takes'], rows.slice(0, count)),
      count === rows.length
        ? ''
        : `✂️ Left out to fit: ${countNoun(rows.length - count, 'setting')}. ${whole}`,
      `<sub>${describeSource(source, node)}</sub>`,
    ]
      .filter((text) => text !== '')
      .join('\n\n');
  return { givesWay, render: (room) => fitParts(rows.length, { room, render }) };
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
      return `“now” is what ${node === null ? 'the primary' : renderText(node)} has in force.`;
    case 'applied':
      return 'The nodes could not be asked: “now” is what was asked for last, which a deploy that failed may not have brought to them.';
    case 'none':
      return '';
  }
}
