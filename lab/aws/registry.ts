import { readAvailabilityZones, readCallerIdentity, readRegion } from './data/account.ts';
import { readAmi } from './data/ami.ts';
import { readHostedZone } from './data/dns.ts';
import { readInstanceType, readInstanceTypeOfferings } from './data/instance-type.ts';
import { readSubnet, readSubnets, readVpc } from './data/network.ts';
import type { Context, Resource } from './resource.ts';
import { dlmLifecyclePolicy } from './resources/dlm-lifecycle-policy.ts';
import { ebsVolume } from './resources/ebs-volume.ts';
import { ec2InstanceState } from './resources/ec2-instance-state.ts';
import { eip } from './resources/eip.ts';
import { iamInstanceProfile } from './resources/iam-instance-profile.ts';
import { iamRole } from './resources/iam-role.ts';
import { iamRolePolicy } from './resources/iam-role-policy.ts';
import { instance } from './resources/instance.ts';
import { instanceConnectEndpoint } from './resources/instance-connect-endpoint.ts';
import { internetGateway } from './resources/internet-gateway.ts';
import { keyPair } from './resources/key-pair.ts';
import { natGateway } from './resources/nat-gateway.ts';
import { route } from './resources/route.ts';
import { routeTable } from './resources/route-table.ts';
import { routeTableAssociation } from './resources/route-table-association.ts';
import { route53Record } from './resources/route53-record.ts';
import { securityGroup } from './resources/security-group.ts';
import { egressRule, ingressRule } from './resources/security-group-rule.ts';
import { subnet } from './resources/subnet.ts';
import { volumeAttachment } from './resources/volume-attachment.ts';
import { vpc } from './resources/vpc.ts';
import { vpcEndpoint } from './resources/vpc-endpoint.ts';
import type { Fields } from './values.ts';

/** Every resource of the emulator; each has its schema in `schemas.json`. */
export const resources: { readonly [type: string]: Resource } = {
  aws_dlm_lifecycle_policy: dlmLifecyclePolicy,
  aws_ebs_volume: ebsVolume,
  aws_ec2_instance_connect_endpoint: instanceConnectEndpoint,
  aws_ec2_instance_state: ec2InstanceState,
  aws_eip: eip,
  aws_iam_instance_profile: iamInstanceProfile,
  aws_iam_role: iamRole,
  aws_iam_role_policy: iamRolePolicy,
  aws_instance: instance,
  aws_internet_gateway: internetGateway,
  aws_key_pair: keyPair,
  aws_nat_gateway: natGateway,
  aws_route: route,
  aws_route53_record: route53Record,
  aws_route_table: routeTable,
  aws_route_table_association: routeTableAssociation,
  aws_security_group: securityGroup,
  aws_subnet: subnet,
  aws_volume_attachment: volumeAttachment,
  aws_vpc: vpc,
  aws_vpc_endpoint: vpcEndpoint,
  aws_vpc_security_group_egress_rule: egressRule,
  aws_vpc_security_group_ingress_rule: ingressRule,
};

/** Reads one data source: maps its configuration to the attributes that it exports. */
export type DataSource = (config: Fields, context: Context) => Promise<Fields>;

/** Every data source of the emulator. */
export const dataSources: { readonly [type: string]: DataSource } = {
  aws_ami: readAmi,
  aws_availability_zones: readAvailabilityZones,
  aws_caller_identity: readCallerIdentity,
  aws_ec2_instance_type: readInstanceType,
  aws_ec2_instance_type_offerings: readInstanceTypeOfferings,
  aws_region: readRegion,
  aws_route53_zone: readHostedZone,
  aws_subnet: readSubnet,
  aws_subnets: readSubnets,
  aws_vpc: readVpc,
};
