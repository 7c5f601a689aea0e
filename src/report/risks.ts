import type { AttributeChange } from '../terraform/attributes.ts';
import type { PlanSummary, ResourceChange } from '../terraform/plan.ts';
import { renderCode } from './markdown.ts';

const DATA_TYPE = 'aws_ebs_volume';
const NODE_TYPE = 'aws_instance';
const ATTACHMENT_TYPE = 'aws_volume_attachment';
const RULE_TYPE = 'aws_vpc_security_group_ingress_rule';

/** A consequence of a plan that a person should know before merging. */
export interface Risk {
  /** `loss`: of data or a node. `risk`: an outage or an open port. `notice`: effects of a rolling change on clients. */
  readonly level: 'loss' | 'risk' | 'notice';
  /** One sentence of Markdown. */
  readonly text: string;
}

/** Returns the risks of a plan, worst first: lost data and nodes, detached volumes, opened ports, stops. */
export function findRisks(plan: PlanSummary): Risk[] {
  const volumes = plan.resources.filter(isLost(DATA_TYPE));
  const nodes = plan.resources.filter(isLost(NODE_TYPE));
  const gone = new Set([...volumes, ...nodes].map(({ index }) => index));
  // The loss of a node or its volume includes the attachment.
  const detached = plan.resources
    .filter(isLost(ATTACHMENT_TYPE))
    .filter(({ index }) => !gone.has(index));
  return [
    ...volumes.map((volume) => buildLoss(keepsSnapshot(volume) ? SNAPSHOT : DATA_LOST, volume)),
    ...nodes.map((node) => buildLoss('**A node goes away:**', node)),
    ...detached.map((attachment) => buildLoss('**A data volume is detached:**', attachment)),
    ...findOpened(plan).map((text): Risk => ({ level: 'risk', text })),
    ...findHidden(plan),
    ...findStopped(plan),
  ];
}

/** The way back to a public client leads through the NAT gateway, which knows no connection from outside. */
function findHidden({ resources }: PlanSummary): Risk[] {
  const isHidden = resources.some(
    ({ type, name, action, attributes }) =>
      type === 'aws_route' &&
      name === 'internet' &&
      action === 'update' &&
      attributes.some(
        ({ path, before }) => path === 'gateway_id' && before.kind === 'known' && !!before.value,
      ),
  );
  if (!isHidden) return [];
  const text =
    '**Public addresses stop working:** behind the NAT gateway, no client reaches a node by its public address.';
  return [{ level: 'risk', text }];
}

const DATA_LOST = '**Data is lost:** without a last snapshot,';
const SNAPSHOT = '**A data volume goes away,** leaving a last snapshot:';

const isLost =
  (type: string) =>
  (resource: ResourceChange): boolean =>
    resource.type === type && (resource.action === 'delete' || resource.action === 'replace');

function buildLoss(what: string, resource: ResourceChange): Risk {
  const how = resource.action === 'delete' ? 'destroyed' : 'replaced';
  const reason = resource.action === 'delete' ? '' : renderReason(resource, renderCode);
  return { level: 'loss', text: `${what} ${nameResource(resource)} is ${how}${reason}.` };
}

/** Reads the setting from the state: a destroy ignores the configuration. */
function keepsSnapshot({ attributes }: ResourceChange): boolean {
  return attributes.some(
    ({ path, before }) =>
      path === 'final_snapshot' && before.kind === 'known' && before.value === true,
  );
}

/**
 * Returns the stops of instances, which Terraform shows as harmless updates in place. Another instance type is rolled
 * out node by node; all other stops happen on all instances at the same time.
 */
function findStopped({ resources }: PlanSummary): Risk[] {
  const updated = resources.filter(({ type, action }) => type === NODE_TYPE && action === 'update');
  const changing = (name: string) =>
    updated.filter(({ attributes }) => attributes.some(({ path }) => path === name));
  const stopped = changing('user_data');
  const rolled = changing('instance_type').filter((resource) => !stopped.includes(resource));
  const moved = rolled.some(hasPublicAddress)
    ? ['**Public addresses change:** every instance that stops gets another one.']
    : [];
  return [
    ...describeStops(stopped, ' at the same time').map((text): Risk => ({ level: 'risk', text })),
    ...[...describeStops(rolled, ' one after the other, the primary last'), ...moved].map(
      (text): Risk => ({ level: 'notice', text }),
    ),
  ];
}

function hasPublicAddress({ attributes }: ResourceChange): boolean {
  return attributes.some(({ path, before }) => path === 'public_ip' && before.kind === 'known');
}

/** The list of resources names the rest. */
const MAX_NAMES = 10;

function describeStops(stopped: readonly ResourceChange[], order: string): string[] {
  if (stopped.length === 0) return [];
  const more = stopped.length - MAX_NAMES;
  const names = [
    ...stopped.slice(0, MAX_NAMES).map(nameResource),
    ...(more > 0 ? [`${more} more`] : []),
  ].join(', ');
  const several = stopped.length > 1;
  return [
    `**Instances stop:** ${names} ${several ? 'are' : 'is'} stopped and started${several ? order : ''}.`,
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

/** Returns ` because of …` for a replacement, with attribute names formatted by `code`; '' without a known reason. */
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

/** Terraform's `action_reason`, for replacements that no attribute explains. */
const REASONS: Readonly<Record<string, string>> = {
  replace_because_tainted: 'an earlier apply left it half made',
  replace_by_request: 'it was asked for',
  replace_by_triggers: 'something it depends on changes',
};

/** Returns the address and the node of a resource, if it belongs to a node. */
function nameResource({ address, index }: ResourceChange): string {
  const node = typeof index === 'string' && /^\d+$/.test(index) ? ` (node-${index})` : '';
  return `${renderCode(address)}${node}`;
}
