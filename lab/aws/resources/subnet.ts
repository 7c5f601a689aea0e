import { ApiError, call, callWithRetry } from '../api-error.ts';
import { readZoneId } from '../catalogue/regions.ts';
import { containsCidr, overlapsCidr, parseCidr } from '../cidr.ts';
import { type Context, type Resource, readTags, text } from '../resource.ts';
import type { Fields } from '../values.ts';
import { ACCOUNT, makeId, type Subnet, writeArn } from '../world.ts';

const SWITCHES = [
  'assign_ipv6_address_on_creation',
  'enable_dns64',
  'enable_resource_name_dns_a_record_on_launch',
  'enable_resource_name_dns_aaaa_record_on_launch',
];

/** Refuses an invalid range, with EC2's order of checks. */
function refuseRange(cidr: string, vpcId: string, { world }: Context): void {
  const vpc = world.tables.vpcs[vpcId];
  if (vpc === undefined)
    throw new ApiError('InvalidVpcID.NotFound', `The vpc ID '${vpcId}' does not exist`);
  const block = parseCidr(cidr);
  const outer = parseCidr(vpc.cidr);
  if (
    block === undefined ||
    outer === undefined ||
    block.bits > 28 ||
    !containsCidr(outer, block)
  ) {
    throw new ApiError('InvalidSubnet.Range', `The CIDR '${cidr}' is invalid.`);
  }
  for (const other of Object.values(world.tables.subnets)) {
    const taken = parseCidr(other.cidr);
    if (other.vpc === vpcId && taken !== undefined && overlapsCidr(taken, block)) {
      throw new ApiError(
        'InvalidSubnet.Conflict',
        `The CIDR '${cidr}' conflicts with another subnet`,
      );
    }
  }
}

function chooseZone(planned: Fields, { world, region }: Context): string {
  const zones = world.listZones(region);
  const byId = zones.find((zone) => readZoneId(zone) === planned.availability_zone_id);
  const zone = text(planned.availability_zone) || byId || zones[0] || '';
  if (!zones.includes(zone)) {
    throw new ApiError(
      'InvalidParameterValue',
      `Value (${zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: ${zones.join(', ')}.`,
    );
  }
  return zone;
}

function readSwitches(planned: Fields): Pick<Subnet, 'mapPublicIp' | 'switches' | 'hostnameType'> {
  return {
    mapPublicIp: planned.map_public_ip_on_launch === true,
    switches: Object.fromEntries(SWITCHES.map((name) => [name, planned[name] === true])),
    hostnameType: text(planned.private_dns_hostname_type_on_launch) || 'ip-name',
  };
}

/** `aws_subnet` */
export const subnet: Resource = {
  rules: {
    forceNew: [
      'availability_zone',
      'availability_zone_id',
      'cidr_block',
      'ipv6_native',
      'outpost_arn',
      'vpc_id',
    ],
    defaults: {
      ...Object.fromEntries(SWITCHES.map((name) => [name, false])),
      ipv6_native: false,
      map_public_ip_on_launch: false,
    },
  },

  async create(planned, context) {
    const { world, region } = context;
    const cidr = text(planned.cidr_block);
    const vpc = text(planned.vpc_id);
    const zone = await call('creating EC2 Subnet', 'CreateSubnet', () => {
      refuseRange(cidr, vpc, context);
      return chooseZone(planned, context);
    });
    const id = makeId('subnet');
    world.tables.subnets[id] = {
      id,
      region,
      vpc,
      cidr,
      zone,
      tags: readTags(planned),
      ...readSwitches(planned),
    };
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.subnets[id];
    if (found === undefined || found.region !== region) return undefined;
    return {
      id,
      arn: writeArn(region, 'subnet', id),
      availability_zone: found.zone,
      availability_zone_id: readZoneId(found.zone),
      cidr_block: found.cidr,
      ...found.switches,
      customer_owned_ipv4_pool: '',
      enable_lni_at_device_index: 0,
      ipv6_cidr_block: '',
      ipv6_cidr_block_association_id: '',
      ipv6_native: false,
      map_customer_owned_ip_on_launch: false,
      map_public_ip_on_launch: found.mapPublicIp,
      outpost_arn: '',
      owner_id: ACCOUNT,
      private_dns_hostname_type_on_launch: found.hostnameType,
      vpc_id: found.vpc,
    };
  },

  async update(id, { planned }, { world }) {
    const found = world.tables.subnets[id];
    if (found !== undefined) Object.assign(found, readSwitches(planned));
    return undefined;
  },

  async delete(id, _recorded, { world }) {
    const { subnets, instances, endpoints, natGateways, routeTables } = world.tables;
    await callWithRetry(`deleting EC2 Subnet (${id})`, 'DeleteSubnet', {
      code: 'DependencyViolation',
      request: () => {
        const interfaces = [instances, endpoints, natGateways].flatMap((table) => [
          ...Object.values<{ subnet: string }>(table),
        ]);
        if (!interfaces.some((one) => one.subnet === id)) return;
        throw new ApiError(
          'DependencyViolation',
          `The subnet '${id}' has dependencies and cannot be deleted.`,
        );
      },
    });
    delete subnets[id];
    for (const table of Object.values(routeTables)) {
      table.associations = table.associations.filter((association) => association.subnet !== id);
    }
  },

  tags: (id, { world }) => world.tables.subnets[id],
  import: (id) => ({ id }),
};
