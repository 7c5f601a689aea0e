import { call } from '../api-error.ts';
import { createEndpoint, deleteEndpoint } from '../instance-connect/endpoint.ts';
import { type Resource, readTags, text, texts } from '../resource.ts';
import { ACCOUNT, writeArn } from '../world.ts';

/** `aws_ec2_instance_connect_endpoint` */
export const instanceConnectEndpoint: Resource = {
  rules: {
    forceNew: ['preserve_client_ip', 'security_group_ids', 'subnet_id'],
    defaults: { preserve_client_ip: true },
    framework: true,
  },

  async create(planned, context, record) {
    const wanted = {
      subnet: text(planned.subnet_id),
      groups: texts(planned.security_group_ids),
      preserveClientIp: planned.preserve_client_ip !== false,
      tags: readTags(planned),
    };
    const { id } = await call(
      'creating EC2 Instance Connect Endpoint',
      'CreateInstanceConnectEndpoint',
      () => createEndpoint(wanted, context, record),
    );
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.endpoints[id];
    if (found === undefined || found.region !== region) return undefined;
    return {
      id,
      arn: writeArn(region, 'instance-connect-endpoint', id),
      availability_zone: world.tables.subnets[found.subnet]?.zone ?? '',
      dns_name: found.dnsName,
      fips_dns_name: found.dnsName.replace('.', '.fips.'),
      ip_address_type: 'ipv4',
      network_interface_ids: [found.networkInterface],
      owner_id: ACCOUNT,
      preserve_client_ip: found.preserveClientIp,
      security_group_ids: found.groups,
      subnet_id: found.subnet,
      vpc_id: found.vpc,
    };
  },

  async delete(id, _recorded, context) {
    const doing = `deleting EC2 Instance Connect Endpoint (${id})`;
    await call(doing, 'DeleteInstanceConnectEndpoint', () => deleteEndpoint(id, context));
  },

  tags: (id, { world }) => world.tables.endpoints[id],
  import: (id) => ({ id }),
};
