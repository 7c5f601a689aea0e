import { ApiError, call } from '../api-error.ts';
import { takePrivateAddress } from '../ec2.ts';
import { type Context, type Resource, readTags, text } from '../resource.ts';
import { makeId } from '../world.ts';

function refuseGateway(subnet: string, address: string, { world, region }: Context): void {
  const { subnets, addresses, natGateways } = world.tables;
  if (subnets[subnet]?.region !== region) {
    throw new ApiError('InvalidSubnetID.NotFound', `The subnet ID '${subnet}' does not exist`);
  }
  if (addresses[address]?.region !== region) {
    throw new ApiError(
      'InvalidAllocationID.NotFound',
      `The allocation ID '${address}' does not exist`,
    );
  }
  if (Object.values(natGateways).some((other) => other.address === address)) {
    throw new ApiError(
      'Resource.AlreadyAssociated',
      `Elastic IP address [${address}] is already associated`,
    );
  }
}

/** `aws_nat_gateway` with a public address, in one zone. */
export const natGateway: Resource = {
  rules: {
    forceNew: [
      'allocation_id',
      'availability_mode',
      'connectivity_type',
      'private_ip',
      'subnet_id',
      'vpc_id',
    ],
    defaults: { connectivity_type: 'public' },
  },

  async create(planned, context, record) {
    const { world, region } = context;
    const subnet = text(planned.subnet_id);
    const address = text(planned.allocation_id);
    await call('creating EC2 NAT Gateway', 'CreateNatGateway', () =>
      refuseGateway(subnet, address, context),
    );
    const id = makeId('nat');
    world.tables.natGateways[id] = {
      id,
      region,
      subnet,
      address,
      association: makeId('eipassoc'),
      networkInterface: makeId('eni'),
      privateIp: takePrivateAddress(subnet, context),
      tags: readTags(planned),
    };
    record(id);
    await context.compute.syncFirewalls();
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.natGateways[id];
    if (found === undefined || found.region !== region) return undefined;
    return {
      id,
      allocation_id: found.address,
      association_id: found.association,
      auto_provision_zones: '',
      auto_scaling_ips: '',
      availability_mode: 'zonal',
      connectivity_type: 'public',
      network_interface_id: found.networkInterface,
      private_ip: found.privateIp,
      public_ip: world.tables.addresses[found.address]?.publicIp ?? '',
      regional_nat_gateway_address: [],
      regional_nat_gateway_auto_mode: '',
      route_table_id: '',
      secondary_allocation_ids: [],
      secondary_private_ip_address_count: 0,
      secondary_private_ip_addresses: [],
      subnet_id: found.subnet,
      vpc_id: world.tables.subnets[found.subnet]?.vpc ?? '',
    };
  },

  async delete(id, _recorded, { world, compute }) {
    delete world.tables.natGateways[id];
    await compute.syncFirewalls();
  },

  tags: (id, { world }) => world.tables.natGateways[id],
  import: (id) => ({ id }),
};
