import { call, ProviderError } from '../api-error.ts';
import { findRegion, readZoneId } from '../catalogue/regions.ts';
import { type Context, text, texts } from '../resource.ts';
import type { Fields } from '../values.ts';
import { ACCOUNT } from '../world.ts';
import { applyFilters } from './filter.ts';

const ZONE_FILTERS = [
  'group-name',
  'opt-in-status',
  'region-name',
  'state',
  'zone-id',
  'zone-name',
  'zone-type',
];

/** `data.aws_availability_zones`; the provider sorts by name. */
export async function readAvailabilityZones(
  config: Fields,
  { world, region }: Context,
): Promise<Fields> {
  const zones = await call('reading EC2 Availability Zones', 'DescribeAvailabilityZones', () =>
    applyFilters(world.listZones(region), {
      filters: config.filter ?? null,
      known: ZONE_FILTERS,
      facets: (zone) => ({
        'group-name': region,
        'opt-in-status': 'opt-in-not-required',
        'region-name': region,
        state: 'available',
        'zone-id': readZoneId(zone),
        'zone-name': zone,
        'zone-type': 'availability-zone',
      }),
    }),
  );
  const excluded = [...texts(config.exclude_names), ...texts(config.exclude_zone_ids)];
  const wanted = text(config.state);
  const names = zones
    .filter((zone) => !excluded.includes(zone) && !excluded.includes(readZoneId(zone)))
    .filter(() => wanted === '' || wanted === 'available')
    .sort();
  return {
    id: region,
    group_names: names.length > 0 ? [region] : [],
    names,
    zone_ids: names.map(readZoneId),
  };
}

/** `data.aws_caller_identity` */
export async function readCallerIdentity(): Promise<Fields> {
  return {
    id: ACCOUNT,
    account_id: ACCOUNT,
    arn: `arn:aws:iam::${ACCOUNT}:user/lab`,
    user_id: 'AIDAJQABLZS4A3QDU576Q',
  };
}

/** `data.aws_region` */
export async function readRegion(config: Fields, { region }: Context): Promise<Fields> {
  const name = text(config.name) || text(config.region) || region;
  if (findRegion(name) === 'absent')
    throw new ProviderError(`finding Region using the specified name (${name}): region not found`);
  return { id: name, name, region: name, description: name, endpoint: `ec2.${name}.amazonaws.com` };
}
