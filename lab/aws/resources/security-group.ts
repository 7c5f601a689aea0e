import { ApiError, call, callWithRetry, ProviderError } from '../api-error.ts';
import { type Context, type Problem, type Resource, readTags, text, texts } from '../resource.ts';
import { type Fields, isFields, isZero, type Value } from '../values.ts';
import { ACCOUNT, makeId, type Rule, writeArn } from '../world.ts';

const GROUP_TEXT = /^[0-9A-Za-z_ .:/()#,@[\]+=&;{}!$*-]*$/;

/** The rules of one direction as in the attribute `ingress` or `egress`: those with the same ports are merged. */
function showRules(group: string, egress: boolean, { world }: Context): Value {
  const merged = new Map<
    string,
    { [name: string]: Value } & Record<
      'cidr_blocks' | 'ipv6_cidr_blocks' | 'prefix_list_ids' | 'security_groups',
      string[]
    >
  >();
  for (const rule of Object.values(world.tables.rules)) {
    if (rule.group !== group || rule.egress !== egress) continue;
    const key = [rule.protocol, rule.from, rule.to, rule.description].join();
    const shown = merged.get(key) ?? {
      cidr_blocks: [],
      description: rule.description ?? '',
      from_port: rule.from ?? 0,
      ipv6_cidr_blocks: [],
      prefix_list_ids: [],
      protocol: rule.protocol,
      security_groups: [],
      self: false,
      to_port: rule.to ?? 0,
    };
    if (rule.cidrIpv4 !== null) shown.cidr_blocks.push(rule.cidrIpv4);
    if (rule.cidrIpv6 !== null) shown.ipv6_cidr_blocks.push(rule.cidrIpv6);
    if (rule.prefixList !== null) shown.prefix_list_ids.push(rule.prefixList);
    if (rule.referencedGroup === group) shown.self = true;
    else if (rule.referencedGroup !== null) shown.security_groups.push(rule.referencedGroup);
    merged.set(key, shown);
  }
  return [...merged.values()];
}

/** One rule per peer of an `ingress` or `egress` element. */
function expandRules(
  fields: Fields,
  { group, egress, region }: { group: string; egress: boolean; region: string },
): Rule[] {
  const peers: Partial<Rule>[] = [
    ...texts(fields.cidr_blocks).map((cidrIpv4) => ({ cidrIpv4 })),
    ...texts(fields.ipv6_cidr_blocks).map((cidrIpv6) => ({ cidrIpv6 })),
    ...texts(fields.security_groups).map((referencedGroup) => ({ referencedGroup })),
    ...(fields.self === true ? [{ referencedGroup: group }] : []),
  ];
  const all = text(fields.protocol) === '-1';
  return peers.map((peer) => ({
    id: makeId('sgr'),
    region,
    group,
    egress,
    protocol: text(fields.protocol),
    from: all ? null : Number(fields.from_port),
    to: all ? null : Number(fields.to_port),
    cidrIpv4: null,
    cidrIpv6: null,
    prefixList: null,
    referencedGroup: null,
    description: text(fields.description) || null,
    tags: {},
    ...peer,
  }));
}

/** Sets the group's rules to those of the configuration; leaves a direction that it does not mention unchanged. */
function setInlineRules(group: string, planned: Fields, { world, region }: Context): void {
  for (const direction of ['ingress', 'egress']) {
    const wanted = planned[direction];
    if (!Array.isArray(wanted)) continue;
    const egress = direction === 'egress';
    for (const rule of Object.values(world.tables.rules)) {
      if (rule.group === group && rule.egress === egress) delete world.tables.rules[rule.id];
    }
    for (const rule of wanted
      .filter(isFields)
      .flatMap((fields) => expandRules(fields, { group, egress, region }))) {
      world.tables.rules[rule.id] = rule;
    }
  }
}

function chooseName(planned: Fields): string {
  const prefix = text(planned.name_prefix) || 'terraform-';
  return text(planned.name) || `${prefix}${Date.now()}${Math.floor(Math.random() * 1e6)}`;
}

function refuseGroup(name: string, vpc: string, { world }: Context): void {
  if (world.tables.vpcs[vpc] === undefined) {
    throw new ApiError('InvalidVpcID.NotFound', `The vpc ID '${vpc}' does not exist`);
  }
  if (
    Object.values(world.tables.groups).some((other) => other.vpc === vpc && other.name === name)
  ) {
    throw new ApiError(
      'InvalidGroup.Duplicate',
      `The security group '${name}' already exists for VPC '${vpc}'`,
    );
  }
}

/** `aws_security_group`; like the real provider, it removes EC2's default egress rule immediately. */
export const securityGroup: Resource = {
  rules: {
    forceNew: ['description', 'name', 'name_prefix', 'vpc_id'],
    defaults: { description: 'Managed by Terraform', revoke_rules_on_delete: false },
  },

  validate(config): Problem[] {
    const problems: Problem[] = [];
    for (const name of ['name', 'description']) {
      const value = config[name];
      if (typeof value !== 'string') continue;
      if (value.length > 255 || !GROUP_TEXT.test(value)) {
        problems.push({
          summary: `invalid value for ${name}`,
          detail: `"${value}" has characters that EC2 refuses, or more than 255.`,
          attribute: name,
        });
      }
    }
    if (typeof config.name === 'string' && /^sg-/.test(config.name)) {
      problems.push({
        summary: 'invalid value for name (cannot begin with sg-)',
        detail: '',
        attribute: 'name',
      });
    }
    return problems;
  },

  async create(planned, context) {
    const { world, region } = context;
    const name = chooseName(planned);
    const vpc = text(planned.vpc_id);
    if (vpc === '') throw new ProviderError('The lab has no default VPC: set vpc_id.');
    await call(`creating Security Group (${name})`, 'CreateSecurityGroup', () =>
      refuseGroup(name, vpc, context),
    );
    const id = makeId('sg');
    world.tables.groups[id] = {
      id,
      region,
      vpc,
      name,
      description: text(planned.description),
      tags: readTags(planned),
    };
    setInlineRules(id, planned, context);
    await context.compute.syncFirewalls();
    return id;
  },

  read(id, context) {
    const found = context.world.tables.groups[id];
    if (found === undefined || found.region !== context.region) return undefined;
    const prefix = /^(.*?)\d{13,}$/.exec(found.name)?.[1];
    return {
      id,
      arn: writeArn(context.region, 'security-group', id),
      description: found.description,
      egress: showRules(id, true, context),
      ingress: showRules(id, false, context),
      name: found.name,
      name_prefix: prefix ?? '',
      owner_id: ACCOUNT,
      vpc_id: found.vpc,
    };
  },

  async update(id, { config, planned }, context) {
    const given = Object.fromEntries(
      ['ingress', 'egress']
        .filter((name) => !isZero(config[name]))
        .map((name) => [name, planned[name] ?? null]),
    );
    setInlineRules(id, given, context);
    await context.compute.syncFirewalls();
    return undefined;
  },

  async delete(id, _recorded, { world, compute }) {
    const { groups, instances, endpoints, rules } = world.tables;
    await callWithRetry(`deleting Security Group (${id})`, 'DeleteSecurityGroup', {
      code: 'DependencyViolation',
      request: () => {
        const interfaces = [...Object.values(instances), ...Object.values(endpoints)];
        const worn = interfaces.some((one) => one.groups.includes(id));
        const named = Object.values(rules).some(
          (rule) => rule.group !== id && rule.referencedGroup === id,
        );
        if (worn || named)
          throw new ApiError('DependencyViolation', `resource ${id} has a dependent object`);
      },
    });
    delete groups[id];
    for (const rule of Object.values(rules)) if (rule.group === id) delete rules[rule.id];
    await compute.syncFirewalls();
  },

  tags: (id, { world }) => world.tables.groups[id],
  import: (id) => ({ id, revoke_rules_on_delete: false }),
};
