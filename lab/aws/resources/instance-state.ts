import { findInstanceType } from '../catalogue/instance-types.ts';
import type { Context } from '../resource.ts';
import type { Fields } from '../values.ts';
import { type Instance, type Volume, writeArn } from '../world.ts';

/** The DNS name of a private address, e.g. `ip-10-42-0-4.ec2.internal`. */
function namePrivately(address: string, region: string): string {
  const suffix = region === 'us-east-1' ? 'ec2.internal' : `${region}.compute.internal`;
  return `ip-${address.replaceAll('.', '-')}.${suffix}`;
}

/** The DNS name of a public address, e.g. `ec2-10-99-1-4.compute-1.amazonaws.com`. */
function namePublicly(address: string, region: string): string {
  const suffix = region === 'us-east-1' ? 'compute-1' : `${region}.compute`;
  return `ec2-${address.replaceAll('.', '-')}.${suffix}.amazonaws.com`;
}

function readDisk(volume: Volume, { defaultTags = {} }: Context): Fields {
  const own = Object.entries(volume.tags).filter(([key, value]) => defaultTags[key] !== value);
  return {
    delete_on_termination: volume.attachment?.deleteOnTermination ?? false,
    device_name: volume.attachment?.device ?? '',
    encrypted: volume.encrypted,
    iops: volume.iops,
    kms_key_id: volume.kmsKey ?? '',
    tags: Object.fromEntries(own),
    tags_all: { ...volume.tags },
    throughput: volume.throughput,
    volume_id: volume.id,
    volume_size: volume.size,
    volume_type: volume.type,
  };
}

function readBlocks(instance: Instance, context: Context): Fields {
  const type = findInstanceType(instance.type);
  const threads = type?.threadsPerCore ?? 1;
  const attached = Object.values(context.world.tables.volumes).filter(
    (one) => one.attachment?.instance === instance.id,
  );
  const { endpoint, hopLimit, tokens, tags, ipv6 } = instance.metadata;
  return {
    capacity_reservation_specification: [
      { capacity_reservation_preference: 'open', capacity_reservation_target: [] },
    ],
    cpu_options: [
      {
        amd_sev_snp: '',
        core_count: (type?.vcpus ?? threads) / threads,
        threads_per_core: threads,
      },
    ],
    credit_specification:
      instance.cpuCredits === null ? [] : [{ cpu_credits: instance.cpuCredits }],
    // As in reality, volumes that were attached separately also appear here at the next refresh.
    ebs_block_device: attached
      .filter(({ root }) => !root)
      .map((one) => ({ ...readDisk(one, context), snapshot_id: one.snapshot ?? '' })),
    enclave_options: [{ enabled: false }],
    ephemeral_block_device: [],
    instance_market_options: [],
    maintenance_options: [{ auto_recovery: 'default' }],
    metadata_options: [
      {
        http_endpoint: endpoint,
        http_protocol_ipv6: ipv6,
        http_put_response_hop_limit: hopLimit,
        http_tokens: tokens,
        instance_metadata_tags: tags,
      },
    ],
    network_interface: [],
    primary_network_interface: [
      { delete_on_termination: true, network_interface_id: instance.networkInterface },
    ],
    private_dns_name_options: [
      {
        enable_resource_name_dns_a_record: false,
        enable_resource_name_dns_aaaa_record: false,
        hostname_type: 'ip-name',
      },
    ],
    root_block_device: attached.filter(({ root }) => root).map((one) => readDisk(one, context)),
  };
}

/** An instance's attributes as the provider reads them from EC2; undefined if it was terminated. */
export function readInstance(id: string, context: Context): Fields | undefined {
  const { world, region } = context;
  const found = world.tables.instances[id];
  if (found === undefined || found.region !== region) return undefined;
  return {
    id,
    ami: found.image,
    arn: writeArn(region, 'instance', id),
    // A stopped instance has none, so a configuration that asks for one plans a replacement, as in reality.
    associate_public_ip_address: found.publicIp !== null,
    availability_zone: world.tables.subnets[found.subnet]?.zone ?? '',
    disable_api_stop: found.stopProtected,
    disable_api_termination: found.protected,
    ebs_optimized: found.ebsOptimized,
    hibernation: false,
    host_id: '',
    iam_instance_profile: found.iamProfile ?? '',
    instance_initiated_shutdown_behavior: found.shutdownBehavior,
    instance_lifecycle: '',
    instance_state: found.state,
    instance_type: found.type,
    ipv6_address_count: 0,
    ipv6_addresses: [],
    key_name: found.keyName ?? '',
    monitoring: found.monitoring,
    outpost_arn: '',
    password_data: '',
    placement_group: '',
    placement_group_id: '',
    placement_partition_number: 0,
    primary_network_interface_id: found.networkInterface,
    private_dns: namePrivately(found.privateIp, region),
    private_ip: found.privateIp,
    public_dns: found.publicIp === null ? '' : namePublicly(found.publicIp, region),
    public_ip: found.publicIp ?? '',
    secondary_private_ips: [],
    security_groups: [],
    source_dest_check: found.sourceDestCheck,
    spot_instance_request_id: '',
    subnet_id: found.subnet,
    tenancy: 'default',
    vpc_security_group_ids: [...found.groups],
    ...readBlocks(found, context),
  };
}
