import { ApiError, call } from '../api-error.ts';
import { type Context, type Resource, readTags, text } from '../resource.ts';
import { type Fields, isFields, isSame } from '../values.ts';
import { ACCOUNT, makeId, type Route, type RouteTable, writeArn } from '../world.ts';

const TARGETS = [
  'carrier_gateway_id',
  'core_network_arn',
  'destination_prefix_list_id',
  'egress_only_gateway_id',
  'ipv6_cidr_block',
  'local_gateway_id',
  'nat_gateway_id',
  'network_interface_id',
  'transit_gateway_id',
  'vpc_endpoint_id',
  'vpc_peering_connection_id',
];

/** Whether the target of a route is a NAT gateway. */
export const isNat = (gateway: string): boolean => gateway.startsWith('nat-');

/** Refuses a route whose gateway does not exist or belongs to another network. */
export function refuseGateway(table: RouteTable, gateway: string, { world }: Context): void {
  if (gateway === 'local') return;
  if (isNat(gateway)) {
    const { natGateways, subnets } = world.tables;
    const nat = natGateways[gateway];
    if (nat !== undefined && subnets[nat.subnet]?.vpc === table.vpc) return;
    throw new ApiError('InvalidNatGatewayID.NotFound', `NatGateway ${gateway} was not found`);
  }
  const found = world.tables.gateways[gateway];
  if (found === undefined) {
    throw new ApiError(
      'InvalidInternetGatewayID.NotFound',
      `The internetGateway ID '${gateway}' does not exist`,
    );
  }
  if (found.vpc !== table.vpc) {
    throw new ApiError(
      'InvalidParameterValue',
      `route table ${table.id} and network gateway ${gateway} belong to different networks`,
    );
  }
}

function readRoutes(planned: Fields): Route[] {
  const routes = Array.isArray(planned.route) ? planned.route.filter(isFields) : [];
  return routes.map((route) => ({
    destination: text(route.cidr_block),
    gateway: text(route.gateway_id) || text(route.nat_gateway_id),
  }));
}

async function setRoutes(table: RouteTable, routes: Route[], context: Context): Promise<void> {
  for (const { destination, gateway } of routes) {
    const doing = `creating Route in Route Table (${table.id}) with destination (${destination})`;
    await call(doing, 'CreateRoute', () => refuseGateway(table, gateway, context));
  }
  table.routes = routes;
  await context.compute.syncFirewalls();
}

/** `aws_route_table` */
export const routeTable: Resource = {
  rules: { forceNew: ['vpc_id'] },

  async create(planned, context, record) {
    const { world, region } = context;
    const vpc = text(planned.vpc_id);
    await call('creating EC2 Route Table', 'CreateRouteTable', () => {
      if (world.tables.vpcs[vpc] === undefined) {
        throw new ApiError('InvalidVpcID.NotFound', `The vpc ID '${vpc}' does not exist`);
      }
    });
    const id = makeId('rtb');
    const table: RouteTable = {
      id,
      region,
      vpc,
      routes: [],
      associations: [],
      tags: readTags(planned),
    };
    world.tables.routeTables[id] = table;
    record(id);
    await setRoutes(table, readRoutes(planned), context);
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.routeTables[id];
    if (found === undefined || found.region !== region) return undefined;
    return {
      id,
      arn: writeArn(region, 'route-table', id),
      owner_id: ACCOUNT,
      propagating_vgws: [],
      route: found.routes.map(({ destination, gateway }) => ({
        ...Object.fromEntries([...TARGETS, 'gateway_id'].map((name) => [name, ''])),
        cidr_block: destination,
        [isNat(gateway) ? 'nat_gateway_id' : 'gateway_id']: gateway,
      })),
      vpc_id: found.vpc,
    };
  },

  async update(id, { prior, planned }, context) {
    const found = context.world.tables.routeTables[id];
    const changed = !isSame(prior.route ?? null, planned.route ?? null, ['set', 'string']);
    if (found !== undefined && changed) await setRoutes(found, readRoutes(planned), context);
    return undefined;
  },

  // Its associations are deleted with it: the real provider removes them first.
  async delete(id, _recorded, { world, compute }) {
    delete world.tables.routeTables[id];
    await compute.syncFirewalls();
  },

  tags: (id, { world }) => world.tables.routeTables[id],
  import: (id) => ({ id }),
};
