import { compareNames } from '../cluster/node.ts';
import { renderCode, renderText, shortenText } from './markdown.ts';

/** What people should know about a node. Text to be typed is in backquotes. */
export interface NodeNote {
  readonly node: string;
  readonly note: string;
}

/** Renders the notes as items of Markdown, one for all nodes that share a note. */
export function renderNotes(notes: readonly NodeNote[]): string[] {
  return groupNotes(notes).map(renderNote);
}

function groupNotes(notes: readonly NodeNote[]): { nodes: string[]; note: string }[] {
  const groups = new Map<string, string[]>();
  for (const { node, note } of notes) groups.set(note, [...(groups.get(note) ?? []), node]);
  return [...groups].map(([note, nodes]) => ({
    nodes: [...new Set(nodes)].sort(compareNames),
    note,
  }));
}

/** Renders text in backquotes as code. A backquote without a partner is text. */
function renderNote({ nodes, note }: { nodes: readonly string[]; note: string }): string {
  const parts = shortenText(note, MAX_NOTE_LENGTH).split(/`([^`]+)`/);
  // A part is never the beginning of a block.
  const text = parts.map((part, index) =>
    index % 2 === 0 ? renderInline(part) : renderCode(part),
  );
  return `${nodes.map(renderCode).join(', ')}: ${text.join('')}`;
}

const MAX_NOTE_LENGTH = 2_000;

/** Renders prose in the middle of a line and keeps the spaces at its ends. */
function renderInline(text: string): string {
  const [, before = '', inner = '', after = ''] = /^(\s*)(.*?)(\s*)$/s.exec(text) ?? [];
  return `${before && ' '}${inner && renderText(inner)}${after && ' '}`;
}
