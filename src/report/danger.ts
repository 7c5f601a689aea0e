import type { AttributeChange } from '../terraform/attributes.ts';
import type { PlanSummary, ResourceChange } from '../terraform/plan.ts';
import { renderCode } from './markdown.ts';

const DATA_TYPE = 'aws_ebs_volume';
const NODE_TYPE = 'aws_instance';
const ATTACHMENT_TYPE = 'aws_volume_attachment';
const RULE_TYPE = 'aws_vpc_security_group_ingress_rule';

/**
 * What in the plan could hurt, worst first, each one sentence of Markdown: data lost, nodes lost or
 * stopped, volumes detached, ports opened to everybody.
 */
export function findDangers(plan: PlanSummary): string[] {
  return [
    ...findLost(plan, DATA_TYPE, (name) => `**Data is lost:** ${name}, a data volume,`),
    ...findLost(plan, NODE_TYPE, (name) => `**A node goes away:** ${name}`),
    ...findLost(plan, ATTACHMENT_TYPE, (name) => `**A data volume is detached:** ${name}`),
    ...findStopped(plan),
    ...findOpened(plan),
  ];
}

function findLost(
  { resources }: PlanSummary,
  type: string,
  describe: (name: string) => string,
): string[] {
  return resources
    .filter((resource) => resource.type === type)
    .flatMap((resource) => {
      if (resource.action === 'delete')
        return [`${describe(nameResource(resource))} is destroyed.`];
      if (resource.action !== 'replace') return [];
      return [
        `${describe(nameResource(resource))} is replaced${renderReason(resource, renderCode)}.`,
      ];
    });
}

/** Terraform shows these as harmless updates in place, and does them on all nodes at the same time. */
function findStopped({ resources }: PlanSummary): string[] {
  const stopped = resources.filter(
    ({ type, action, attributes }) =>
      type === NODE_TYPE &&
      action === 'update' &&
      attributes.some(({ path }) => path === 'instance_type' || path === 'user_data'),
  );
  if (stopped.length === 0) return [];
  const names = stopped.map(nameResource).join(', ');
  const together = stopped.length > 1 ? ' at the same time' : '';
  return [
    `**PostgreSQL stops:** ${names} ${stopped.length > 1 ? 'are' : 'is'} stopped and started${together}.`,
  ];
}

function findOpened({ resources }: PlanSummary): string[] {
  return resources
    .filter(({ type, action }) => type === RULE_TYPE && action !== 'no-op' && action !== 'delete')
    .filter(({ attributes }) => attributes.some(opensToAll))
    .map((rule) => `**Open to the whole internet:** ${nameResource(rule)}.`);
}

function opensToAll({ path, after }: AttributeChange): boolean {
  return (
    (path === 'cidr_ipv4' || path === 'cidr_ipv6') &&
    after.kind === 'known' &&
    typeof after.value === 'string' &&
    after.value.endsWith('/0')
  );
}

/** ` because of …` for a replacement, attribute names written by `code`, '' where Terraform names no attribute. */
export function renderReason(
  { attributes, reason }: ResourceChange,
  code: (text: string) => string,
): string {
  const forcing = attributes.filter(({ forcesReplacement }) => forcesReplacement);
  if (forcing.length > 0) {
    return ` because of ${forcing.map(({ path }) => code(path)).join(', ')}`;
  }
  const words = reason === null ? undefined : REASONS[reason];
  return words === undefined ? '' : ` because ${words}`;
}

/** Terraform's `action_reason`, for those that no attribute explains. */
const REASONS: Readonly<Record<string, string>> = {
  replace_because_tainted: 'an earlier apply left it half made',
  replace_by_request: 'it was asked for',
  replace_by_triggers: 'something it depends on changes',
};

/** The address and, where it belongs to one, the node. */
function nameResource({ address, index }: ResourceChange): string {
  const node = typeof index === 'string' && /^\d+$/.test(index) ? ` (node-${index})` : '';
  return `${renderCode(address)}${node}`;
}
