import { ApiError, call, callWithRetry, ProviderError } from '../api-error.ts';
import { findVolume } from '../ec2.ts';
import { awaitVolume, modifyVolume } from '../modification.ts';
import {
  type Context,
  numberOrNull,
  type Problem,
  type Resource,
  readTags,
  text,
  textOrNull,
} from '../resource.ts';
import type { Fields } from '../values.ts';
import { chooseRates, refuseShape } from '../volume-shape.ts';
import { ACCOUNT, makeId, type Volume, writeArn } from '../world.ts';

/** The account's own key, with which EBS encrypts if no other is named. */
export function nameDefaultKey(region: string): string {
  return `arn:aws:kms:${region}:${ACCOUNT}:key/3f2b8c1e-5d47-4a9b-8e10-6c7d2f9a4b15`;
}

function shapeVolume(planned: Fields, { world, region }: Context): Omit<Volume, 'id' | 'tags'> {
  const zone = text(planned.availability_zone);
  if (!world.listZones(region).includes(zone)) {
    throw new ApiError('InvalidZone.NotFound', `The zone '${zone}' does not exist.`);
  }
  const snapshotId = textOrNull(planned.snapshot_id);
  const snapshot = snapshotId === null ? undefined : world.tables.snapshots[snapshotId];
  if (snapshotId !== null && snapshot === undefined) {
    throw new ApiError('InvalidSnapshot.NotFound', `The snapshot '${snapshotId}' does not exist.`);
  }
  const size = numberOrNull(planned.size) ?? snapshot?.size;
  if (size === undefined) {
    throw new ApiError(
      'MissingParameter',
      'The request must contain the parameter size or snapshotId',
    );
  }
  if (snapshot !== undefined && size < snapshot.size) {
    throw new ApiError(
      'InvalidParameterValue',
      `The volume size ${size} is smaller than snapshot '${snapshotId}', expect size >= ${snapshot.size}GB`,
    );
  }
  const type = textOrNull(planned.type) ?? 'gp2';
  const wanted = { iops: numberOrNull(planned.iops), throughput: numberOrNull(planned.throughput) };
  const encrypted = planned.encrypted === true || snapshot?.encrypted === true;
  const shaped = {
    region,
    zone,
    encrypted,
    kmsKey: encrypted ? (textOrNull(planned.kms_key_id) ?? nameDefaultKey(region)) : null,
    snapshot: snapshotId,
    created: new Date().toISOString(),
    root: false,
    type,
    size,
    ...chooseRates(type, size, wanted),
    modifications: [],
    attachment: null,
  };
  refuseShape(shaped);
  return shaped;
}

function listWanted(prior: Fields, planned: Fields): Parameters<typeof modifyVolume>[1] {
  const wanted: Parameters<typeof modifyVolume>[1] = {};
  for (const name of ['size', 'iops', 'throughput'] as const) {
    const value = numberOrNull(planned[name]);
    if (value !== null && value !== prior[name]) wanted[name] = value;
  }
  if (prior.type !== planned.type) {
    wanted.type = text(planned.type);
    const size = wanted.size ?? numberOrNull(planned.size) ?? 0;
    Object.assign(
      wanted,
      chooseRates(wanted.type, size, {
        iops: wanted.iops ?? null,
        throughput: wanted.throughput ?? null,
      }),
    );
  }
  return wanted;
}

/** CreateSnapshot and the wait for its end. A slow snapshot is complete only after the provider gave up. */
async function takeSnapshot(volume: Volume, { world, compute, region }: Context): Promise<void> {
  const id = makeId('snap');
  await compute.copyVolume(volume, id);
  world.tables.snapshots[id] = {
    id,
    region,
    volume: volume.id,
    size: volume.size,
    encrypted: volume.encrypted,
    created: new Date().toISOString(),
    tags: { ...volume.tags },
  };
  if (!world.tables.slowSnapshots.includes(volume.id)) return;
  throw new ProviderError(
    `waiting for EBS Snapshot (${id}) create: exceeded max wait time for SnapshotCompleted waiter`,
  );
}

/** `aws_ebs_volume` */
export const ebsVolume: Resource = {
  rules: {
    forceNew: [
      'availability_zone',
      'encrypted',
      'kms_key_id',
      'multi_attach_enabled',
      'outpost_arn',
      'snapshot_id',
      'volume_initialization_rate',
    ],
    defaults: { final_snapshot: false },
  },

  validate(config): Problem[] {
    const missing = (config.size ?? null) === null && (config.snapshot_id ?? null) === null;
    if (!missing) return [];
    return [
      {
        summary: 'Missing required argument',
        detail: '"size": one of `size,snapshot_id` must be specified',
        attribute: 'size',
      },
    ];
  },

  adjust({ prior, planned, config }) {
    // The default rate of a volume depends on its type and size.
    if (prior.type !== planned.type || (planned.type === 'gp2' && prior.size !== planned.size)) {
      const rates = chooseRates(text(planned.type), numberOrNull(planned.size) ?? 0, {
        iops: null,
        throughput: null,
      });
      if ((config.iops ?? null) === null) planned.iops = rates.iops;
      if ((config.throughput ?? null) === null) planned.throughput = rates.throughput;
    }
    return [];
  },

  async create(planned, context, record) {
    const shaped = await call('creating EBS Volume', 'CreateVolume', () =>
      shapeVolume(planned, context),
    );
    const id = makeId('vol');
    const volume: Volume = { id, tags: readTags(planned), ...shaped };
    context.world.tables.volumes[id] = volume;
    record(id);
    await context.compute.createVolume(volume);
    return id;
  },

  read(id, { world, region }) {
    const found = world.tables.volumes[id];
    if (found === undefined || found.region !== region) return undefined;
    return {
      id,
      arn: writeArn(region, 'volume', id),
      availability_zone: found.zone,
      create_time: found.created,
      encrypted: found.encrypted,
      iops: found.iops,
      kms_key_id: found.kmsKey ?? '',
      multi_attach_enabled: false,
      outpost_arn: '',
      size: found.size,
      snapshot_id: found.snapshot ?? '',
      throughput: found.throughput,
      type: found.type,
      volume_initialization_rate: 0,
    };
  },

  async update(id, { prior, planned }, context) {
    const wanted = listWanted(prior, planned);
    if (Object.keys(wanted).length > 0) {
      await call(`modifying EBS Volume (${id})`, 'ModifyVolume', () =>
        modifyVolume(id, wanted, context),
      );
      await awaitVolume(id, context);
    }
    return undefined;
  },

  async delete(id, recorded, context) {
    const { world, compute } = context;
    if (world.tables.volumes[id] === undefined) return;
    const volume = findVolume(id, context);
    const refuseIfAttached = () => {
      if (volume.attachment === null) return;
      throw new ApiError(
        'VolumeInUse',
        `Volume ${id} is currently attached to ${volume.attachment.instance}`,
      );
    };
    if (recorded.final_snapshot === true) await takeSnapshot(volume, context);
    await callWithRetry(`deleting EBS Volume (${id})`, 'DeleteVolume', {
      code: 'VolumeInUse',
      request: refuseIfAttached,
    });
    await compute.deleteVolume(volume);
    delete world.tables.volumes[id];
  },

  tags: (id, { world }) => world.tables.volumes[id],
  import: (id) => ({ id, final_snapshot: false }),
};
