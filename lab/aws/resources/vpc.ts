import { ApiError, call, callWithRetry } from '../api-error.ts';
import { parseCidr } from '../cidr.ts';
import { type Resource, readTags, text } from '../resource.ts';
import { ACCOUNT, deriveId, makeId, type World, writeArn } from '../world.ts';

// The quota of a new account, including its default VPC.
const VPCS_PER_REGION = 5;

/** Refuses to delete a VPC that is still in use. */
function refuseIfUsed(world: World, vpc: string): void {
  const { subnets, gateways, groups, routeTables, vpcs } = world.tables;
  const kept = [vpcs[vpc]?.defaultGroup, vpcs[vpc]?.mainRouteTable];
  const inside = [
    ...Object.values(subnets),
    ...Object.values(gateways),
    ...Object.values(groups),
    ...Object.values(routeTables),
  ];
  if (inside.some((thing) => thing.vpc === vpc && !kept.includes(thing.id))) {
    throw new ApiError(
      'DependencyViolation',
      `The vpc '${vpc}' has dependencies and cannot be deleted.`,
    );
  }
}

/** `aws_vpc`: as in EC2 it includes a main route table and a default security group. */
export const vpc: Resource = {
  rules: {
    forceNew: ['cidr_block', 'instance_tenancy', 'ipv4_ipam_pool_id', 'ipv4_netmask_length'],
    defaults: { enable_dns_support: true, instance_tenancy: 'default' },
  },

  async create(planned, { world, region }) {
    const cidr = text(planned.cidr_block);
    await call('creating EC2 VPC', 'CreateVpc', () => {
      const block = parseCidr(cidr);
      if (block === undefined || block.bits < 16 || block.bits > 28) {
        throw new ApiError('InvalidVpc.Range', `The CIDR '${cidr}' is invalid.`);
      }
      const count = Object.values(world.tables.vpcs).filter(
        (other) => other.region === region,
      ).length;
      if (count >= VPCS_PER_REGION) {
        throw new ApiError('VpcLimitExceeded', 'The maximum number of VPCs has been reached.');
      }
    });
    const id = makeId('vpc');
    const mainRouteTable = makeId('rtb');
    const defaultGroup = makeId('sg');
    const { vpcs, routeTables, groups } = world.tables;
    vpcs[id] = {
      id,
      region,
      cidr,
      tenancy: text(planned.instance_tenancy),
      defaultGroup,
      mainRouteTable,
      dnsHostnames: planned.enable_dns_hostnames === true,
      dnsSupport: planned.enable_dns_support === true,
      usageMetrics: planned.enable_network_address_usage_metrics === true,
      tags: readTags(planned),
    };
    routeTables[mainRouteTable] = {
      id: mainRouteTable,
      region,
      vpc: id,
      routes: [],
      associations: [],
      tags: {},
    };
    groups[defaultGroup] = {
      id: defaultGroup,
      region,
      vpc: id,
      name: 'default',
      description: 'default VPC security group',
      tags: {},
    };
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.vpcs[id];
    if (found === undefined || found.region !== region) return undefined;
    return {
      id,
      arn: writeArn(region, 'vpc', id),
      cidr_block: found.cidr,
      default_network_acl_id: deriveId('acl', id),
      default_route_table_id: found.mainRouteTable,
      default_security_group_id: found.defaultGroup,
      dhcp_options_id: deriveId('dopt', region),
      enable_dns_hostnames: found.dnsHostnames,
      enable_dns_support: found.dnsSupport,
      enable_network_address_usage_metrics: found.usageMetrics,
      instance_tenancy: found.tenancy,
      assign_generated_ipv6_cidr_block: false,
      ipv6_association_id: '',
      ipv6_cidr_block: '',
      ipv6_cidr_block_network_border_group: '',
      ipv6_ipam_pool_id: '',
      ipv6_netmask_length: 0,
      main_route_table_id: found.mainRouteTable,
      owner_id: ACCOUNT,
    };
  },

  async update(id, { planned }, { world }) {
    const found = world.tables.vpcs[id];
    if (found === undefined) return undefined;
    found.dnsHostnames = planned.enable_dns_hostnames === true;
    found.dnsSupport = planned.enable_dns_support === true;
    found.usageMetrics = planned.enable_network_address_usage_metrics === true;
    return undefined;
  },

  async delete(id, _recorded, { world, compute }) {
    const found = world.tables.vpcs[id];
    if (found === undefined) return;
    await callWithRetry(`deleting EC2 VPC (${id})`, 'DeleteVpc', {
      code: 'DependencyViolation',
      request: () => refuseIfUsed(world, id),
    });
    await compute.deleteNetwork(found);
    const { vpcs, routeTables, groups, rules } = world.tables;
    delete vpcs[id];
    delete routeTables[found.mainRouteTable];
    delete groups[found.defaultGroup];
    for (const rule of Object.values(rules))
      if (rule.group === found.defaultGroup) delete rules[rule.id];
  },

  tags: (id, { world }) => world.tables.vpcs[id],
  import: (id) => ({ id }),
};
