// node docs/readme.ts writes the tables of inputs and outputs in README.md from action.yml. A test fails if they differ.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ActionMetadata, loadActionMetadata } from '../lab/runner/metadata.ts';

const root = join(import.meta.dirname, '..');
export const README = join(root, 'README.md');

/** Returns the README with its generated parts made from `metadata`. Throws if a marker is missing. */
export function fillReadme(text: string, metadata: ActionMetadata): string {
  const inputs = Object.entries(metadata.inputs).map(([name, { description, default: value }]) => [
    `\`${name}\``,
    describe(description),
    // Defaults of cluster values end with a space; see action.yml.
    value ? `\`${value.trim()}\`` : '',
  ]);
  const outputs = Object.entries(metadata.outputs).map(([name, { description }]) => [
    `\`${name}\``,
    describe(description),
  ]);
  return [
    { name: 'inputs', table: renderTable(['Input', 'What it is', 'Default'], inputs) },
    { name: 'outputs', table: renderTable(['Output', 'What it is'], outputs) },
  ].reduce((filled, part) => replacePart(filled, part), text);
}

function describe(description: string | undefined): string {
  return (description ?? '').trim().replaceAll(/\s+/g, ' ').replaceAll('|', '\\|');
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function replacePart(text: string, { name, table }: { name: string; table: string }): string {
  const [begin, end] = [`<!-- ${name}: generated -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`README.md lacks ${begin} … ${end}`);
  return `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`;
}

if (import.meta.main) {
  writeFileSync(README, fillReadme(readFileSync(README, 'utf8'), loadActionMetadata(root)));
}
