import { isAllowed, type PermissionLabel } from '../inputs/permission-label.ts';
import { listSome } from '../messages/list-some.ts';
import { findLosses, type Loss } from '../terraform/losses.ts';
import type { PlanSummary, ResourceChange } from '../terraform/plan.ts';
import { explainSnapshotLoss } from '../terraform/snapshot-changes.ts';
import { renderCode, renderText, shortenText } from './markdown.ts';
import { renderReason } from './risks.ts';

/** Labels that allow a plan to lose something, and the labels that the pull request has. */
export interface Permissions {
  readonly destroy: PermissionLabel;
  readonly slotLoss: PermissionLabel;
}

/** What a plan loses, and what allows it. */
export interface LossReport {
  readonly plan: PlanSummary;
  /** Which logical slots are lost with a switchover and how to keep them, sentences; null if none is lost. */
  readonly slotLoss: string | null;
  /** What is deleted or ends of the backups, sentences; null if nothing. */
  readonly backupLoss: string | null;
  readonly permissions: Permissions;
}

/** Losses, each as Markdown. */
export interface Losses {
  /** With the way to allow them. */
  readonly blocked: readonly string[];
  /** With the label that allows them, and who put it on. */
  readonly allowed: readonly string[];
}

/** Returns the losses of a plan that a label allows, and those that it does not, each said once. */
export function listLosses({ plan, slotLoss, backupLoss, permissions }: LossReport): Losses {
  const destroyed = describeLosses(findLosses(plan));
  const losses = [
    ...(destroyed === '' ? [] : [{ text: destroyed, permission: permissions.destroy }]),
    ...quoteLoss(slotLoss, permissions.slotLoss),
    ...quoteLoss(backupLoss, permissions.destroy),
    ...quoteLoss(explainSnapshotLoss(plan), permissions.destroy),
  ];
  return {
    blocked: losses
      .filter(({ permission }) => !isAllowed(permission))
      .map(({ text, permission }) => `**Blocked:** ${text}. ${explainWay(permission)}`),
    allowed: losses
      .filter(({ permission }) => isAllowed(permission))
      .map(({ text, permission }) => `**Allowed** by ${renderPermission(permission)}: ${text}.`),
  };
}

/** Renders who allowed a loss, or the label alone. */
function renderPermission({ label, by = null }: PermissionLabel): string {
  const name = renderCode(label ?? '');
  return by === null ? `the label ${name}` : `${renderCode(by)} with the label ${name}`;
}

function quoteLoss(loss: string | null, permission: PermissionLabel) {
  return loss === null ? [] : [{ text: trimStop(renderText(shortenText(loss))), permission }];
}

function explainWay({ input, label, labels }: PermissionLabel): string {
  if (label === null) return `To allow it, name a label in ${renderCode(input)}.`;
  return labels === null
    ? `To allow it, open a pull request with the label ${renderCode(label)}.`
    : `To allow it, add the label ${renderCode(label)}; the plan reruns by itself.`;
}

/** Names that a sentence lists at most. A cluster has at most 16 nodes. */
const MAX_NAMES = 16;

/** Describes losses in a person's units: nodes and their data, then other objects. Markdown, '' without losses. */
function describeLosses(losses: readonly Loss[]): string {
  const nodes = new Map<string, string[]>();
  for (const { node, resources } of losses) {
    if (node === null) continue;
    const what = describeNodeLoss(resources);
    nodes.set(what, [...(nodes.get(what) ?? []), node]);
  }
  const others = losses.flatMap(({ node, resources }) => (node === null ? resources : []));
  return [
    ...[...nodes].map(([what, names]) =>
      what
        .replace('NODES', listSome(names, MAX_NAMES))
        .replace('THEIR', names.length === 1 ? 'its' : 'their'),
    ),
    ...describeForeign(others),
  ].join('; ');
}

/** Describes the loss of one node; `NODES` and `THEIR` stand for the nodes that lose the same. */
function describeNodeLoss(resources: readonly ResourceChange[]): string {
  const left = resources.filter(({ deposed }) => deposed !== null);
  const find = (type: string) =>
    resources.find((one) => one.type === type && one.deposed === null) ?? null;
  const [volume, instance] = [find('aws_ebs_volume'), find('aws_instance')];
  const attachment = find('aws_volume_attachment');
  const snapshot =
    volume !== null && keepsSnapshot(volume)
      ? 'a snapshot is kept'
      : '**without a last snapshot**, so the data is lost';
  const parts = [
    ...(volume?.action === 'delete' ? [`deletes NODES and THEIR data (${snapshot})`] : []),
    ...(volume?.action === 'replace'
      ? [`replaces the data of NODES with a blank volume (${snapshot})${explain(volume)}`]
      : []),
    ...(instance === null || (volume?.action === 'delete' && instance.action === 'delete')
      ? []
      : [
          instance.action === 'delete'
            ? 'deletes the instance of NODES'
            : `replaces the instance of NODES${explain(instance)}`,
        ]),
    ...(attachment === null ? [] : ['detaches the data volume of NODES']),
    ...left.map(
      ({ address, id }) =>
        `destroys ${renderCode(address)} (${renderCode(id ?? '?')}, left over from an interrupted replacement)`,
    ),
  ];
  return parts.join(' and ');
}

const explain = (resource: ResourceChange): string => renderReason(resource, renderCode);

/** Objects that are no resource of the cluster. */
function describeForeign(resources: readonly ResourceChange[]): string[] {
  if (resources.length === 0) return [];
  const names = listSome(
    resources.map(({ address }) => renderCode(address)),
    MAX_NAMES,
  );
  const verb = resources.every(({ action }) => action === 'replace') ? 'replaces' : 'destroys';
  return [
    `${verb} ${names}, ${resources.length === 1 ? 'which is not a resource' : 'which are no resources'} of this cluster`,
  ];
}

/** Reads the setting from the state: a destroy ignores the configuration. */
function keepsSnapshot({ attributes }: ResourceChange): boolean {
  return attributes.some(
    ({ path, before }) =>
      path === 'final_snapshot' && before.kind === 'known' && before.value === true,
  );
}

const trimStop = (text: string): string => text.replace(/\.$/, '');
