import { ApiError, call } from '../api-error.ts';
import { type Context, type Problem, type Resource, readTags, text, texts } from '../resource.ts';
import { ACCOUNT, deriveId, makeId, writeArn } from '../world.ts';

/** What EC2 gives an endpoint without a policy: everything is allowed. */
const OPEN =
  '{"Version":"2008-10-17","Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}';

function refuseEndpoint(vpc: string, service: string, { world, region }: Context): void {
  if (world.tables.vpcs[vpc]?.region !== region) {
    throw new ApiError('InvalidVpcId.NotFound', `The Vpc Id ${vpc} does not exist`);
  }
  if (service !== `com.amazonaws.${region}.s3`) {
    throw new ApiError(
      'InvalidServiceName',
      `The Vpc Endpoint Service '${service}' does not exist`,
    );
  }
}

function refuseTables(tables: readonly string[], vpc: string, { world }: Context): void {
  const missing = tables.find((id) => world.tables.routeTables[id]?.vpc !== vpc);
  if (missing === undefined) return;
  throw new ApiError(
    'InvalidRouteTableId.NotFound',
    `The routeTable ID '${missing}' does not exist`,
  );
}

/** `aws_vpc_endpoint` of the type Gateway, for S3. */
export const vpcEndpoint: Resource = {
  rules: {
    forceNew: [
      'resource_configuration_arn',
      'service_name',
      'service_network_arn',
      'service_region',
      'vpc_endpoint_type',
      'vpc_id',
    ],
    defaults: { vpc_endpoint_type: 'Gateway' },
    computedBlocks: ['dns_options', 'subnet_configuration'],
  },

  validate(config): Problem[] {
    const type = text(config.vpc_endpoint_type) || 'Gateway';
    if (type === 'Gateway') return [];
    const summary = `The lab has endpoints of the type Gateway, not ${type}`;
    return [{ summary, detail: '', attribute: 'vpc_endpoint_type' }];
  },

  async create(planned, context, record) {
    const { world, region } = context;
    const vpc = text(planned.vpc_id);
    const service = text(planned.service_name);
    const routeTables = texts(planned.route_table_ids);
    await call(`creating EC2 VPC Endpoint (${service})`, 'CreateVpcEndpoint', () => {
      refuseEndpoint(vpc, service, context);
      refuseTables(routeTables, vpc, context);
    });
    const id = makeId('vpce');
    world.tables.vpcEndpoints[id] = {
      id,
      region,
      vpc,
      service,
      routeTables,
      tags: readTags(planned),
    };
    record(id);
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.vpcEndpoints[id];
    if (found === undefined || found.region !== region) return undefined;
    return {
      id,
      arn: writeArn(region, 'vpc-endpoint', id),
      cidr_blocks: ['198.51.100.0/24'],
      dns_entry: [],
      dns_options: [],
      ip_address_type: '',
      network_interface_ids: [],
      owner_id: ACCOUNT,
      policy: OPEN,
      prefix_list_id: deriveId('pl', found.service),
      private_dns_enabled: false,
      requester_managed: false,
      route_table_ids: [...found.routeTables],
      security_group_ids: [],
      service_name: found.service,
      service_region: region,
      state: 'available',
      subnet_configuration: [],
      subnet_ids: [],
      vpc_endpoint_type: 'Gateway',
      vpc_id: found.vpc,
    };
  },

  async update(id, { planned }, context) {
    const found = context.world.tables.vpcEndpoints[id];
    if (found === undefined) return undefined;
    const routeTables = texts(planned.route_table_ids);
    await call(`updating EC2 VPC Endpoint (${id})`, 'ModifyVpcEndpoint', () =>
      refuseTables(routeTables, found.vpc, context),
    );
    found.routeTables = routeTables;
    return undefined;
  },

  async delete(id, _recorded, { world }) {
    delete world.tables.vpcEndpoints[id];
  },

  tags: (id, { world }) => world.tables.vpcEndpoints[id],
  import: (id) => ({ id }),
};
