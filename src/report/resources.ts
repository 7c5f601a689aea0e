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
import { renderCode, renderDetails, renderFence, renderHtmlCode } from './markdown.ts';
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
/** Groups up to this length are open. */
const MAX_OPEN = 5;

/** Renders a name as code in its context. */
type Code = (text: string) => string;

/** Renders every resource that changes, then the outputs, with folded attributes. */
export function renderResources(
  plan: PlanSummary,
  options: { shrinkOrder: number; whole: string },
): Section {
  const groups: EntryGroup[] = GROUPS.map(({ action, title }) => {
    const resources = plan.resources.filter((resource) => resource.action === action);
    const open = action === 'delete' || action === 'replace' || resources.length <= MAX_OPEN;
    return { title, open, entries: resources.map(renderResource) };
  });
  const outputs = plan.outputs.map(renderOutput);
  return renderGroups({
    heading: '#### Infrastructure',
    groups: [...groups, { title: '📤 Outputs', open: false, entries: outputs }],
    ...options,
  });
}

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
  return renderGroups({ heading: '#### Changed outside Terraform', groups, ...options });
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
