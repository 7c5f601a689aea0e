import { ApiError, call, ProviderError } from '../api-error.ts';
import { parseCidr } from '../cidr.ts';
import { type Context, type Resource, text } from '../resource.ts';
import { type Fields, isZero, type Value } from '../values.ts';
import { deriveId, type RouteTable } from '../world.ts';
import { isNat, refuseGateway } from './route-table.ts';

function findTable(recorded: Fields, { world, region }: Context): RouteTable | undefined {
  const table = world.tables.routeTables[text(recorded.route_table_id)];
  return table?.region === region ? table : undefined;
}

const readGateway = (planned: Fields): string =>
  text(planned.nat_gateway_id) || text(planned.gateway_id);

/** The targets of a route; one that was never set stays null. */
function showTargets(gateway: string, recorded: Fields): Fields {
  const unset = (value: Value) => (isZero(value) ? value : '');
  const { gateway_id = null, nat_gateway_id = null } = recorded;
  return isNat(gateway)
    ? { gateway_id: unset(gateway_id), nat_gateway_id: gateway }
    : { gateway_id: gateway, nat_gateway_id: unset(nat_gateway_id) };
}

/** `aws_route`; the emulator supports only internet gateways and NAT gateways as targets. */
export const route: Resource = {
  rules: {
    forceNew: [
      'destination_cidr_block',
      'destination_ipv6_cidr_block',
      'destination_prefix_list_id',
      'route_table_id',
    ],
  },

  async create(planned, context) {
    const tableId = text(planned.route_table_id);
    const destination = text(planned.destination_cidr_block);
    const gateway = readGateway(planned);
    if (gateway === '')
      throw new ProviderError(
        'The lab has no other targets for a route than gateway_id and nat_gateway_id.',
      );
    const doing = `creating Route in Route Table (${tableId}) with destination (${destination})`;
    await call(doing, 'CreateRoute', () => {
      const table = context.world.tables.routeTables[tableId];
      if (table === undefined) {
        throw new ApiError(
          'InvalidRouteTableID.NotFound',
          `The routeTable ID '${tableId}' does not exist`,
        );
      }
      if (parseCidr(destination) === undefined) {
        throw new ApiError(
          'InvalidParameterValue',
          `Value (${destination}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.`,
        );
      }
      if (table.routes.some((other) => other.destination === destination)) {
        throw new ApiError(
          'RouteAlreadyExists',
          `The route identified by ${destination} already exists.`,
        );
      }
      refuseGateway(table, gateway, context);
      table.routes.push({ destination, gateway });
    });
    await context.compute.syncFirewalls();
    return `r-${tableId}${deriveId('', destination).slice(1)}`;
  },

  read(id, context, recorded) {
    const found = findTable(recorded, context)?.routes.find(
      ({ destination }) => destination === recorded.destination_cidr_block,
    );
    if (found === undefined) return undefined;
    return {
      id,
      destination_cidr_block: found.destination,
      ...showTargets(found.gateway, recorded),
      instance_id: '',
      instance_owner_id: '',
      network_interface_id: '',
      origin: 'CreateRoute',
      state: 'active',
    };
  },

  async update(_id, { prior, planned }, context) {
    const table = findTable(prior, context);
    const found = table?.routes.find(
      ({ destination }) => destination === prior.destination_cidr_block,
    );
    if (table === undefined || found === undefined) return undefined;
    const gateway = readGateway(planned);
    const doing = `updating Route in Route Table (${table.id}) with destination (${found.destination})`;
    await call(doing, 'ReplaceRoute', () => refuseGateway(table, gateway, context));
    found.gateway = gateway;
    await context.compute.syncFirewalls();
    return undefined;
  },

  async delete(_id, recorded, context) {
    const table = findTable(recorded, context);
    if (table === undefined) return;
    table.routes = table.routes.filter(
      ({ destination }) => destination !== recorded.destination_cidr_block,
    );
    await context.compute.syncFirewalls();
  },
};
