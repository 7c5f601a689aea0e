import { ApiError, call, callWithRetry } from '../api-error.ts';
import { type Context, type Resource, readTags, textOrNull } from '../resource.ts';
import { ACCOUNT, makeId, writeArn } from '../world.ts';

async function attach(id: string, vpc: string, { world, compute }: Context): Promise<void> {
  const { gateways, vpcs } = world.tables;
  await call(
    `attaching EC2 Internet Gateway (${id}) to EC2 VPC (${vpc})`,
    'AttachInternetGateway',
    () => {
      if (vpcs[vpc] === undefined)
        throw new ApiError('InvalidVpcID.NotFound', `The vpc ID '${vpc}' does not exist`);
      if (Object.values(gateways).some((other) => other.vpc === vpc)) {
        throw new ApiError(
          'InvalidParameterValue',
          `Network ${vpc} already has an internet gateway attached`,
        );
      }
    },
  );
  const found = gateways[id];
  if (found !== undefined) found.vpc = vpc;
  await compute.syncFirewalls();
}

async function detach(id: string, { world, compute }: Context): Promise<void> {
  const { gateways, subnets, instances, natGateways } = world.tables;
  const found = gateways[id];
  if (found === undefined || found.vpc === null) return;
  const vpc = found.vpc;
  await callWithRetry(
    `detaching EC2 Internet Gateway (${id}) from EC2 VPC (${vpc})`,
    'DetachInternetGateway',
    {
      code: 'DependencyViolation',
      request: () => {
        const mapped = [
          ...Object.values(instances).filter(({ publicIp }) => publicIp !== null),
          ...Object.values(natGateways),
        ];
        if (!mapped.some(({ subnet }) => subnets[subnet]?.vpc === vpc)) return;
        throw new ApiError(
          'DependencyViolation',
          `Network ${vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.`,
        );
      },
    },
  );
  found.vpc = null;
  await compute.syncFirewalls();
}

/** `aws_internet_gateway` */
export const internetGateway: Resource = {
  rules: { forceNew: [] },

  async create(planned, context, record) {
    const id = makeId('igw');
    context.world.tables.gateways[id] = {
      id,
      region: context.region,
      vpc: null,
      tags: readTags(planned),
    };
    record(id);
    const vpc = textOrNull(planned.vpc_id);
    if (vpc !== null) await attach(id, vpc, context);
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.gateways[id];
    if (found === undefined || found.region !== region) return undefined;
    return {
      id,
      arn: writeArn(region, 'internet-gateway', id),
      owner_id: ACCOUNT,
      vpc_id: found.vpc ?? '',
    };
  },

  async update(id, { prior, planned }, context) {
    if (planned.vpc_id === prior.vpc_id) return undefined;
    await detach(id, context);
    const vpc = textOrNull(planned.vpc_id);
    if (vpc !== null) await attach(id, vpc, context);
    return undefined;
  },

  async delete(id, _recorded, context) {
    await detach(id, context);
    delete context.world.tables.gateways[id];
  },

  tags: (id, { world }) => world.tables.gateways[id],
  import: (id) => ({ id }),
};
