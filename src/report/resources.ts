import { listSome } from '../messages/list-some.ts';
import type { AttributeChange } from '../terraform/attributes.ts';
import type {
  Action,
  DriftChange,
  OutputChange,
  PlanSummary,
  ResourceChange,
} from '../terraform/plan.ts';
import { renderAttributes } from './attribute-diff.ts';
import type { Section } from './budget.ts';
import { countNoun, renderCode, renderDetails, renderFence, renderHtmlCode } from './markdown.ts';
import { type EntryGroup, type ListEntry, renderGroups } from './resource-groups.ts';
import { renderReason } from './risks.ts';

/** Destructive actions come first. */
const GROUPS: readonly { readonly action: Action; readonly title: string }[] = [
  { action: 'delete', title: '➖ Destroy' },
  { action: 'replace', title: '♻️ Replace' },
  { action: 'create', title: '➕ Create' },
  { action: 'update', title: '✏️ Change' },
  { action: 'forget', title: '👋 Forget, without destroying' },
  { action: 'import', title: '📥 Import' },
  { action: 'move', title: '➡️ Move' },
];
/** Up to this number of resources that the comment describes nowhere else, they are unfolded. */
const MAX_OPEN = 5;

/** Renders a name as code in its context. */
type Code = (text: string) => string;

/**
 * Renders every resource that changes, then the outputs, in one fold. New resources are listed by kind: their attributes
 * are in the plan's wording. `open`: the number of changed resources that the comment describes nowhere else.
 */
export function renderResources(
  plan: PlanSummary,
  { undescribed, ...options }: { undescribed: number; shrinkOrder: number; whole: string },
): Section {
  const groups = GROUPS.map(({ action, title }): EntryGroup => {
    const resources = plan.resources.filter((resource) => resource.action === action);
    return {
      title,
      count: resources.length,
      entries: action === 'create' ? listKinds(resources) : resources.map(renderResource),
    };
  });
  const total = groups.reduce((sum, { entries }) => sum + entries.length, 0);
  const count = plan.resources.filter(({ action }) => GROUPS.some((one) => one.action === action));
  return renderGroups({
    frame: {
      summary: `Infrastructure: ${countNoun(count.length, 'resource')}`,
      open: undescribed > 0 && total <= MAX_OPEN,
    },
    groups: [...groups, { title: '📤 Outputs', entries: plan.outputs.map(renderOutput) }],
    ...options,
  });
}

/** Lists resources without their attributes, one line per kind. */
function listKinds(resources: readonly ResourceChange[]): ListEntry[] {
  const kinds = new Map<string, ResourceChange[]>();
  for (const one of resources) {
    const kind = one.address.replace(/\[[^[\]]*\]$/, '');
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  return [...kinds].map(([kind, list]) => {
    const keys = list.flatMap(({ index }) => (index === null ? [] : [renderCode(`${index}`)]));
    const names = keys.length === 0 ? '' : `: ${listSome(keys, MAX_KEYS)}`;
    return { line: `- ${renderCode(kind)}${names}`, detailed: [] };
  });
}

/** A cluster has at most 16 nodes, and as many zones. */
const MAX_KEYS = 16;

/** Renders the changes outside Terraform, those that cause changes of the plan first. */
export function renderDrift(
  drift: readonly DriftChange[],
  options: { shrinkOrder: number; whole: string },
): Section {
  const select = (relevant: boolean) => drift.filter((change) => change.relevant === relevant);
  const groups = [
    { title: '🔀 This plan answers to it', open: true, entries: select(true).map(renderDrifted) },
    { title: '👀 Seen only', open: false, entries: select(false).map(renderDrifted) },
  ];
  const frame = { heading: '#### Changed outside Terraform' };
  return renderGroups({ frame, groups, ...options });
}

function renderResource(resource: ResourceChange): ListEntry {
  const { action, address, attributes } = resource;
  // A destroyed resource loses every attribute: a list of them would say nothing.
  const shown = action === 'delete' || action === 'forget' ? [] : attributes;
  return renderEntry((code) => `${code(address)}${describeResource(resource, code)}`, shown);
}

function describeResource(resource: ResourceChange, code: Code): string {
  const { action, id, previousAddress, importId, deposed } = resource;
  return [
    action === 'replace' ? renderReason(resource, code) : '',
    previousAddress === null ? '' : `, until now ${code(previousAddress)}`,
    importId === null ? '' : `, imported from ${code(importId)}`,
    deposed === null ? '' : ', left over from an interrupted replacement',
    action === 'delete' && id !== null ? `, ${code(id)}` : '',
  ].join('');
}

function renderOutput({ name, action, attributes }: OutputChange): ListEntry {
  const word = { create: 'new', update: 'changed', delete: 'removed' }[action];
  return renderEntry((code) => `${code(name)}, ${word}`, action === 'delete' ? [] : attributes);
}

function renderDrifted({ address, action, attributes }: DriftChange): ListEntry {
  const gone = action === 'delete';
  return renderEntry((code) => `${code(address)}${gone ? ' is gone' : ''}`, gone ? [] : attributes);
}

/** Whether the attribute is compared line by line, with unchanged lines around the changes. */
function hasContext({ before, after }: AttributeChange): boolean {
  return [before, after].every(
    (side) =>
      side.kind === 'known' &&
      (typeof side.value === 'object' || /[\n[{]/.test(String(side.value))),
  );
}

function renderEntry(
  describe: (code: Code) => string,
  attributes: readonly AttributeChange[],
): ListEntry {
  const render = (context?: number) =>
    renderDetails(
      describe(renderHtmlCode),
      renderFence(renderAttributes(attributes, { context }), 'diff'),
    );
  return {
    line: `- ${describe(renderCode)}`,
    detailed:
      attributes.length === 0
        ? []
        : [() => render(), ...(attributes.some(hasContext) ? [() => render(0)] : [])],
  };
}
