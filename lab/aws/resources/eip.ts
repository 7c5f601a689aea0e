import { ApiError, call, callWithRetry } from '../api-error.ts';
import { takePublicAddress } from '../ec2.ts';
import { type Resource, readTags } from '../resource.ts';
import { makeId, writeArn } from '../world.ts';

/** `aws_eip`, for NAT gateways only: the lab associates none with an instance. */
export const eip: Resource = {
  rules: {
    forceNew: [
      'address',
      'customer_owned_ipv4_pool',
      'domain',
      'ipam_pool_id',
      'network_border_group',
      'public_ipv4_pool',
    ],
  },

  async create(planned, context) {
    const { addresses, quotas } = context.world.tables;
    const publicIp = await call('creating EC2 EIP', 'AllocateAddress', () => {
      const others = Object.values(addresses).filter(({ region }) => region === context.region);
      if (others.length >= quotas.addresses) {
        throw new ApiError(
          'AddressLimitExceeded',
          'The maximum number of addresses has been reached.',
        );
      }
      return takePublicAddress(context);
    });
    const id = makeId('eipalloc');
    addresses[id] = { id, region: context.region, publicIp, tags: readTags(planned) };
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.addresses[id];
    if (found === undefined || found.region !== region) return undefined;
    const gateway = Object.values(world.tables.natGateways).find(({ address }) => address === id);
    return {
      id,
      allocation_id: id,
      arn: writeArn(region, 'elastic-ip', id),
      association_id: gateway?.association ?? '',
      carrier_ip: '',
      customer_owned_ip: '',
      customer_owned_ipv4_pool: '',
      domain: 'vpc',
      instance: '',
      network_border_group: region,
      network_interface: gateway?.networkInterface ?? '',
      private_dns:
        gateway === undefined ? '' : `ip-${gateway.privateIp.replaceAll('.', '-')}.ec2.internal`,
      private_ip: gateway?.privateIp ?? '',
      ptr_record: '',
      public_dns: `ec2-${found.publicIp.replaceAll('.', '-')}.compute-1.amazonaws.com`,
      public_ip: found.publicIp,
      public_ipv4_pool: 'amazon',
    };
  },

  async delete(id, _recorded, { world }) {
    const { addresses, natGateways } = world.tables;
    await callWithRetry(`deleting EC2 EIP (${id})`, 'ReleaseAddress', {
      code: 'InvalidIPAddress.InUse',
      request: () => {
        if (!Object.values(natGateways).some(({ address }) => address === id)) return;
        throw new ApiError(
          'InvalidIPAddress.InUse',
          `Address ${addresses[id]?.publicIp} is in use.`,
        );
      },
    });
    delete addresses[id];
  },

  tags: (id, { world }) => world.tables.addresses[id],
  import: (id) => ({ id }),
};
