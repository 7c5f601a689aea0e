import { nodeName } from '../cluster/node.ts';
import { listSome } from '../messages/list-some.ts';
import type { AttributeChange } from '../terraform/attributes.ts';
import { kindOf } from '../terraform/node-changes.ts';
import type { PlanSummary, ResourceChange } from '../terraform/plan.ts';
import { renderCode } from './markdown.ts';

const NODE_TYPE = 'aws_instance';
const RULE_TYPE = 'aws_vpc_security_group_ingress_rule';

/** A consequence of a plan that a person should know before merging. Losses are reported separately. */
export interface Risk {
  /** `risk`: an outage or an open port. `notice`: effects of a rolling change on clients. */
  readonly level: 'risk' | 'notice';
  /** One sentence of Markdown. */
  readonly text: string;
}

/** Returns the risks of a plan, worst first: opened ports, stops, changed addresses. */
export function findRisks(plan: PlanSummary): Risk[] {
  return [
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

/**
 * Returns the stops of instances, which Terraform shows as harmless updates in place. Another instance type is rolled
 * out node by node, which the steps and the table of nodes show; all other stops happen on all instances at the same
 * time.
 */
function findStopped({ resources }: PlanSummary): Risk[] {
  const updated = resources.filter(({ type, action }) => type === NODE_TYPE && action === 'update');
  const changing = (name: string) =>
    updated.filter(({ attributes }) => attributes.some(({ path }) => path === name));
  const stopped = changing('user_data');
  const rolled = changing('instance_type').filter((resource) => !stopped.includes(resource));
  return [
    ...describeStops(stopped).map((text): Risk => ({ level: 'risk', text })),
    ...(rolled.some(hasPublicAddress)
      ? [
          {
            level: 'notice',
            text: '**Public addresses change:** every instance that stops gets another one.',
          } as const,
        ]
      : []),
  ];
}

function hasPublicAddress({ attributes }: ResourceChange): boolean {
  return attributes.some(
    ({ path, before }) => path === 'public_ip' && before.kind === 'known' && before.value !== '',
  );
}

/** The list of resources names the rest. */
const MAX_NAMES = 10;

function describeStops(stopped: readonly ResourceChange[]): string[] {
  if (stopped.length === 0) return [];
  const [are, together] = stopped.length > 1 ? ['are', ' at the same time'] : ['is', ''];
  return [
    `**Instances stop:** ${listSome(stopped.map(nameResource), MAX_NAMES)} ${are} stopped and started${together}.`,
  ];
}

function findOpened({ resources }: PlanSummary): string[] {
  return resources
    .filter(({ type, action }) => type === RULE_TYPE && action !== 'no-op' && action !== 'delete')
    .filter(({ attributes }) => attributes.some(opensToAll))
    .map((rule) => `**Open to the whole internet:** ${PORTS[kindOf(rule)] ?? nameResource(rule)}.`);
}

const PORTS: Readonly<Record<string, string>> = {
  [`${RULE_TYPE}.ssh`]: 'SSH (port 22) of every node',
  [`${RULE_TYPE}.clients`]: 'PostgreSQL (port 5432) of every node',
};

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

/** Returns the node of a resource if it belongs to one, else its address. */
function nameResource({ address, index, type }: ResourceChange): string {
  const isNode = type === NODE_TYPE && typeof index === 'string' && /^\d+$/.test(index);
  return renderCode(isNode ? nodeName(Number(index)) : address);
}
