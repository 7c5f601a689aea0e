import { ApiError, call } from '../api-error.ts';
import { parseCidr } from '../cidr.ts';
import {
  type Context,
  numberOrNull,
  type Problem,
  type Resource,
  readTags,
  text,
  textOrNull,
} from '../resource.ts';
import { type Fields, UNKNOWN } from '../values.ts';
import { makeId, type Rule, writeArn } from '../world.ts';

const RULES_PER_GROUP = 60;
const PEERS = ['cidr_ipv4', 'cidr_ipv6', 'prefix_list_id', 'referenced_security_group_id'];
const NUMBERS: { readonly [number: string]: string } = {
  '1': 'icmp',
  '6': 'tcp',
  '17': 'udp',
  '58': 'icmpv6',
};

type Content = Omit<Rule, 'id' | 'region' | 'group' | 'egress' | 'tags'>;

function readContent(planned: Fields): Content {
  const protocol = text(planned.ip_protocol).toLowerCase();
  return {
    protocol: NUMBERS[protocol] ?? protocol,
    from: numberOrNull(planned.from_port),
    to: numberOrNull(planned.to_port),
    cidrIpv4: textOrNull(planned.cidr_ipv4),
    cidrIpv6: textOrNull(planned.cidr_ipv6),
    prefixList: textOrNull(planned.prefix_list_id),
    // An account may precede the group: 123456789012/sg-….
    referencedGroup: textOrNull(planned.referenced_security_group_id)?.split('/').at(-1) ?? null,
    description: textOrNull(planned.description),
  };
}

function describePeer(content: Content): string {
  const peer =
    content.cidrIpv4 ?? content.cidrIpv6 ?? content.referencedGroup ?? content.prefixList;
  if (content.protocol === '-1') return `peer: ${peer}, ALL, ALLOW`;
  return `peer: ${peer}, ${content.protocol.toUpperCase()}, from port: ${content.from}, to port: ${content.to}, ALLOW`;
}

function refuseContent(group: string, content: Content, { world }: Context): void {
  const { groups } = world.tables;
  if (groups[group] === undefined) {
    throw new ApiError('InvalidGroup.NotFound', `The security group '${group}' does not exist`);
  }
  const { referencedGroup, protocol, from, to } = content;
  if (referencedGroup !== null && groups[referencedGroup] === undefined) {
    throw new ApiError(
      'InvalidGroup.NotFound',
      `The security group '${referencedGroup}' does not exist`,
    );
  }
  if (['tcp', 'udp'].includes(protocol)) {
    if (from === null || to === null) {
      throw new ApiError(
        'InvalidParameterValue',
        "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
      );
    }
    if (from < 0 || to > 65535 || from > to) {
      throw new ApiError('InvalidParameterValue', `Invalid value '${from}-${to}' for portRange.`);
    }
  }
}

function refuseRule(
  rule: Pick<Rule, 'group' | 'egress'>,
  content: Content,
  context: Context,
): void {
  refuseContent(rule.group, content, context);
  const others = Object.values(context.world.tables.rules).filter(
    ({ group, egress }) => group === rule.group && egress === rule.egress,
  );
  if (others.some((other) => describePeer(other) === describePeer(content))) {
    throw new ApiError(
      'InvalidPermission.Duplicate',
      `the specified rule "${describePeer(content)}" already exists`,
    );
  }
  if (others.length >= RULES_PER_GROUP) {
    throw new ApiError(
      'RulesPerSecurityGroupLimitExceeded',
      'The maximum number of rules per security group has been reached.',
    );
  }
}

function validateRule(config: Fields): Problem[] {
  const problems: Problem[] = [];
  const unknown = PEERS.some((name) => config[name] === UNKNOWN);
  const given = PEERS.filter((name) => (config[name] ?? null) !== null);
  if (!unknown && given.length !== 1) {
    problems.push({
      summary:
        given.length === 0 ? 'Missing Attribute Configuration' : 'Invalid Attribute Combination',
      detail: `Exactly one of these attributes must be configured: [${PEERS.join(',')}]`,
    });
  }
  const cidr = config.cidr_ipv4;
  if (typeof cidr === 'string' && parseCidr(cidr) === undefined) {
    problems.push({
      summary: 'Invalid Attribute Value',
      detail: `Attribute cidr_ipv4 value must be a valid IPv4 CIDR that represents a network address, got: ${cidr}`,
      attribute: 'cidr_ipv4',
    });
  }
  return problems;
}

function makeRuleResource(egress: boolean): Resource {
  const direction = egress ? 'Egress' : 'Ingress';
  const name = `VPC Security Group ${direction} Rule`;
  return {
    rules: { forceNew: ['security_group_id'], framework: true },
    validate: validateRule,

    async create(planned, context) {
      const { world, region } = context;
      const group = text(planned.security_group_id);
      const content = readContent(planned);
      await call(`creating ${name}`, `AuthorizeSecurityGroup${direction}`, () =>
        refuseRule({ group, egress }, content, context),
      );
      const id = makeId('sgr');
      world.tables.rules[id] = { id, region, group, egress, tags: readTags(planned), ...content };
      await context.compute.syncFirewalls();
      return id;
    },

    read(id, { world, region }, recorded) {
      const found = world.tables.rules[id];
      if (found === undefined || found.region !== region || found.egress !== egress)
        return undefined;
      // The configuration's own spelling is kept if it means the same: "6" for tcp, a group with its account.
      const spelled = text(recorded.ip_protocol);
      const reference = text(recorded.referenced_security_group_id);
      return {
        id,
        arn: writeArn(region, 'security-group-rule', id),
        cidr_ipv4: found.cidrIpv4,
        cidr_ipv6: found.cidrIpv6,
        description: found.description,
        from_port: found.from,
        ip_protocol:
          (NUMBERS[spelled] ?? spelled.toLowerCase()) === found.protocol ? spelled : found.protocol,
        prefix_list_id: found.prefixList,
        referenced_security_group_id:
          reference.split('/').at(-1) === found.referencedGroup ? reference : found.referencedGroup,
        security_group_id: found.group,
        security_group_rule_id: id,
        to_port: found.to,
      };
    },

    async update(id, { planned }, context) {
      const found = context.world.tables.rules[id];
      if (found === undefined) return undefined;
      const content = readContent(planned);
      await call(`updating ${name} (${id})`, 'ModifySecurityGroupRules', () =>
        refuseContent(found.group, content, context),
      );
      Object.assign(found, content);
      await context.compute.syncFirewalls();
      return undefined;
    },

    async delete(id, _recorded, { world, compute }) {
      delete world.tables.rules[id];
      await compute.syncFirewalls();
    },

    tags: (id, { world }) => world.tables.rules[id],
    import: (id) => ({ id }),
  };
}

/** `aws_vpc_security_group_ingress_rule` */
export const ingressRule = makeRuleResource(false);
/** `aws_vpc_security_group_egress_rule` */
export const egressRule = makeRuleResource(true);
