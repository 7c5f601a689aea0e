import { call, ProviderError } from '../api-error.ts';
import { readZoneId } from '../catalogue/regions.ts';
import { parseCidr } from '../cidr.ts';
import { type Context, text } from '../resource.ts';
import { subnet as subnetResource } from '../resources/subnet.ts';
import { vpc as vpcResource } from '../resources/vpc.ts';
import type { Fields } from '../values.ts';
import type { Subnet, Vpc } from '../world.ts';
import { applyFilters, hasTags, readTagFacets } from './filter.ts';

const SUBNET_FILTERS = [
  'availability-zone',
  'availability-zone-id',
  'cidr-block',
  'default-for-az',
  'map-public-ip-on-launch',
  'owner-id',
  'state',
  'subnet-id',
  'vpc-id',
];

async function findSubnets(config: Fields, { world, region }: Context): Promise<Subnet[]> {
  const all = Object.values(world.tables.subnets).filter((one) => one.region === region);
  const filtered = await call('reading EC2 Subnets', 'DescribeSubnets', () =>
    applyFilters(all, {
      filters: config.filter ?? null,
      known: SUBNET_FILTERS,
      facets: (one) => ({
        'availability-zone': one.zone,
        'availability-zone-id': readZoneId(one.zone),
        'cidr-block': one.cidr,
        'default-for-az': 'false',
        'map-public-ip-on-launch': String(one.mapPublicIp),
        state: 'available',
        'subnet-id': one.id,
        'vpc-id': one.vpc,
        ...readTagFacets(one.tags),
      }),
    }),
  );
  return filtered.filter((one) => hasTags(one.tags, config.tags));
}

/** Returns the only match; throws the provider's message if there is no match or more than one. */
function takeOne<Thing>(found: readonly Thing[], name: string): Thing {
  const [only] = found;
  if (only === undefined) throw new ProviderError(`no matching ${name} found`);
  if (found.length > 1)
    throw new ProviderError(
      `multiple ${name}s matched; use additional constraints to reduce matches to a single ${name}`,
    );
  return only;
}

/** `data.aws_subnet` */
export async function readSubnet(config: Fields, context: Context): Promise<Fields> {
  const found = (await findSubnets(config, context)).filter(
    (one) =>
      (text(config.id) || one.id) === one.id &&
      (text(config.vpc_id) || one.vpc) === one.vpc &&
      (text(config.cidr_block) || one.cidr) === one.cidr &&
      (text(config.availability_zone) || one.zone) === one.zone,
  );
  const subnet = takeOne(found, 'EC2 Subnet');
  const used = Object.values(context.world.tables.instances).filter(
    (one) => one.subnet === subnet.id,
  ).length;
  return {
    ...subnetResource.read(subnet.id, context, {}),
    // EC2 reserves the first four addresses and the last.
    available_ip_address_count: (parseCidr(subnet.cidr)?.size ?? 0) - 5 - used,
    default_for_az: false,
    state: 'available',
    tags: { ...subnet.tags },
  };
}

/** `data.aws_subnets` */
export async function readSubnets(config: Fields, context: Context): Promise<Fields> {
  const found = await findSubnets(config, context);
  return { id: context.region, ids: found.map(({ id }) => id).sort(), tags: config.tags ?? null };
}

/** `data.aws_vpc` */
export async function readVpc(config: Fields, context: Context): Promise<Fields> {
  const { world, region } = context;
  const all: Vpc[] = Object.values(world.tables.vpcs).filter((one) => one.region === region);
  const filtered = await call('reading EC2 VPC', 'DescribeVpcs', () =>
    applyFilters(all, {
      filters: config.filter ?? null,
      known: ['cidr', 'cidr-block', 'is-default', 'owner-id', 'state', 'vpc-id'],
      facets: (one) => ({
        cidr: one.cidr,
        'cidr-block': one.cidr,
        'is-default': 'false',
        state: 'available',
        'vpc-id': one.id,
        ...readTagFacets(one.tags),
      }),
    }),
  );
  const found = filtered.filter(
    (one) =>
      config.default !== true &&
      (text(config.id) || one.id) === one.id &&
      (text(config.cidr_block) || one.cidr) === one.cidr &&
      hasTags(one.tags, config.tags),
  );
  const vpc = takeOne(found, 'EC2 VPC');
  return {
    ...vpcResource.read(vpc.id, context, {}),
    cidr_block_associations: [
      {
        association_id: vpc.id.replace('vpc-', 'vpc-cidr-assoc-'),
        cidr_block: vpc.cidr,
        state: 'associated',
      },
    ],
    default: false,
    state: 'available',
    tags: { ...vpc.tags },
  };
}
