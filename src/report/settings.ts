import type { SettingChange } from '../cluster/setting-change.ts';
import { renderCode, renderTable, renderText } from './markdown.ts';

/** The settings that change, and who says what they are until now. */
export interface SettingsReport {
  readonly changes: readonly SettingChange[];
  /** `live`: the running primary; `applied`: what was asked for last; `none`: there is nothing to compare with. */
  readonly source: 'live' | 'applied' | 'none';
  /** The primary that said it. */
  readonly node: string | null;
}

/** The settings as a table, old → new; '' where none changes. Markdown. */
export function renderSettings({ changes, source, node }: SettingsReport): string {
  if (changes.length === 0) return '';
  const rows = changes.map(({ name, before, after, takesEffect }) => [
    renderCode(name),
    renderValue(before),
    renderValue(after),
    takesEffect ?? 'not known',
  ]);
  const table = renderTable(['setting', 'now', 'then', 'takes'], rows);
  return `${table}\n\n<sub>${describeSource(source, node)}</sub>`;
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
      return 'The nodes could not be asked: “now” is what was applied last.';
    case 'none':
      return '';
  }
}
