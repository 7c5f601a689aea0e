import { ApiError, call, ProviderError } from '../api-error.ts';
import { type Context, type Resource, text } from '../resource.ts';
import { makeId, type RouteTable } from '../world.ts';

function findHolder(id: string, { world, region }: Context): RouteTable | undefined {
  const tables = Object.values(world.tables.routeTables);
  return tables.find(
    (table) => table.region === region && table.associations.some((one) => one.id === id),
  );
}

function addAssociation(tableId: string, subnetId: string, { world }: Context): string {
  const { routeTables, subnets } = world.tables;
  const table = routeTables[tableId];
  if (table === undefined) {
    throw new ApiError(
      'InvalidRouteTableID.NotFound',
      `The routeTable ID '${tableId}' does not exist`,
    );
  }
  const subnet = subnets[subnetId];
  if (subnet === undefined) {
    throw new ApiError('InvalidSubnetID.NotFound', `The subnet ID '${subnetId}' does not exist`);
  }
  if (subnet.vpc !== table.vpc) {
    throw new ApiError(
      'InvalidParameterValue',
      `Route table ${tableId} and subnet ${subnetId} belong to different networks`,
    );
  }
  const taken = Object.values(routeTables).some(({ associations }) =>
    associations.some((one) => one.subnet === subnetId),
  );
  if (taken) {
    throw new ApiError(
      'Resource.AlreadyAssociated',
      `the specified association for route table ${tableId} conflicts with an existing association`,
    );
  }
  const id = makeId('rtbassoc');
  table.associations.push({ id, subnet: subnetId });
  return id;
}

function removeAssociation(id: string, context: Context): void {
  const table = findHolder(id, context);
  if (table !== undefined) table.associations = table.associations.filter((one) => one.id !== id);
}

/** `aws_route_table_association` of a subnet */
export const routeTableAssociation: Resource = {
  rules: { forceNew: ['gateway_id', 'subnet_id'] },

  async create(planned, context) {
    const subnet = text(planned.subnet_id);
    if (subnet === '')
      throw new ProviderError('The lab associates route tables with subnets only: set subnet_id.');
    const id = await call('creating Route Table Association', 'AssociateRouteTable', () =>
      addAssociation(text(planned.route_table_id), subnet, context),
    );
    await context.compute.syncFirewalls();
    return id;
  },

  read(id, context) {
    const table = findHolder(id, context);
    const found = table?.associations.find((one) => one.id === id);
    if (table === undefined || found === undefined) return undefined;
    return { id, gateway_id: '', route_table_id: table.id, subnet_id: found.subnet };
  },

  async update(id, { prior, planned }, context) {
    if (prior.route_table_id === planned.route_table_id) return undefined;
    removeAssociation(id, context);
    const replaced = await call(
      `updating Route Table Association (${id})`,
      'ReplaceRouteTableAssociation',
      () => addAssociation(text(planned.route_table_id), text(planned.subnet_id), context),
    );
    await context.compute.syncFirewalls();
    return replaced;
  },

  async delete(id, _recorded, context) {
    removeAssociation(id, context);
    await context.compute.syncFirewalls();
  },
};
