import { ApiError, call } from '../api-error.ts';
import { findInstanceType, isOffered, listInstanceTypes } from '../catalogue/instance-types.ts';
import { readZoneId } from '../catalogue/regions.ts';
import { type Context, text } from '../resource.ts';
import type { Fields } from '../values.ts';
import { applyFilters } from './filter.ts';

/** `data.aws_ec2_instance_type` */
export async function readInstanceType(config: Fields): Promise<Fields> {
  const name = text(config.instance_type);
  const type = await call(`reading EC2 Instance Type (${name})`, 'DescribeInstanceTypes', () => {
    const found = findInstanceType(name);
    if (found === undefined) {
      throw new ApiError(
        'InvalidInstanceType',
        `The following supplied instance types do not exist: [${name}]`,
      );
    }
    return found;
  });
  const nitro = type.hypervisor === 'nitro';
  const older = name.startsWith('t2.');
  return {
    id: name,
    auto_recovery_supported: true,
    bare_metal: false,
    burstable_performance_supported: type.burstable,
    current_generation: type.currentGeneration,
    dedicated_hosts_supported: !older,
    default_cores: type.vcpus / type.threadsPerCore,
    default_threads_per_core: type.threadsPerCore,
    default_vcpus: type.vcpus,
    ebs_encryption_support: 'supported',
    ebs_nvme_support: nitro ? 'required' : 'unsupported',
    ebs_optimized_support: older ? 'unsupported' : 'default',
    efa_supported: false,
    ena_support: nitro ? 'required' : 'unsupported',
    encryption_in_transit_supported: false,
    free_tier_eligible: ['t2.micro', 't3.micro', 't4g.small'].includes(name),
    hibernation_supported: type.architecture === 'x86_64' && type.memory >= 1024,
    hypervisor: type.hypervisor,
    instance_storage_supported: false,
    instance_type: name,
    ipv6_supported: true,
    memory_size: type.memory,
    network_performance: older ? 'Low to Moderate' : 'Up to 5 Gigabit',
    // The small t2 sizes also run 32-bit systems, which come first in the list.
    supported_architectures:
      older && type.memory <= 4096 ? ['i386', 'x86_64'] : [type.architecture],
    supported_placement_strategies: older
      ? ['partition', 'spread']
      : ['cluster', 'partition', 'spread'],
    supported_root_device_types: ['ebs'],
    supported_usages_classes: ['on-demand', 'spot'],
    supported_virtualization_types: ['hvm'],
    valid_cores: [type.vcpus / type.threadsPerCore],
    valid_threads_per_core: type.threadsPerCore === 1 ? [1] : [1, 2],
  };
}

/** `data.aws_ec2_instance_type_offerings` */
export async function readInstanceTypeOfferings(
  config: Fields,
  { world, region }: Context,
): Promise<Fields> {
  const kind = text(config.location_type) || 'region';
  const zones = world.listZones(region);
  const places = kind === 'region' ? [region] : zones;
  const all = listInstanceTypes().flatMap((name) => {
    const type = findInstanceType(name);
    const offered = places.filter((place) => type !== undefined && isOffered(type, place));
    return offered.map((place) => ({
      name,
      place: kind === 'availability-zone-id' ? readZoneId(place) : place,
    }));
  });
  const found = await call(
    'reading EC2 Instance Type Offerings',
    'DescribeInstanceTypeOfferings',
    () =>
      applyFilters(all, {
        filters: config.filter ?? null,
        known: ['instance-type', 'location'],
        facets: ({ name, place }) => ({ 'instance-type': name, location: place }),
      }),
  );
  return {
    id: region,
    instance_types: found.map(({ name }) => name),
    location_types: found.map(() => kind),
    locations: found.map(({ place }) => place),
  };
}
