import { ApiError } from '../api-error.ts';
import { findVolume } from '../ec2.ts';
import { advanceModifications, findLatest, measureProgress } from '../modification.ts';
import type { Modification, Volume } from '../world.ts';
import { type Action, readFilters, readList, type Xml } from './answer.ts';
import { describeInstanceConnectEndpoints } from './instance-connect.ts';

function describeModification(
  volume: Volume,
  latest: Modification,
  now: number,
): { [name: string]: Xml } {
  const { from, to, state } = latest;
  const isOver = state === 'completed' || state === 'failed';
  return {
    volumeId: volume.id,
    modificationState: state,
    statusMessage: state === 'failed' ? 'The modification failed.' : undefined,
    targetSize: to.size,
    targetIops: to.iops,
    targetVolumeType: to.type,
    targetThroughput: to.throughput || undefined,
    targetMultiAttachEnabled: false,
    originalSize: from.size,
    originalIops: from.iops,
    originalVolumeType: from.type,
    originalThroughput: from.throughput || undefined,
    originalMultiAttachEnabled: false,
    progress: measureProgress(latest, now),
    startTime: new Date(latest.started).toISOString(),
    endTime: isOver ? new Date(latest.ends).toISOString() : undefined,
  };
}

const FILTERS: { readonly [name: string]: (volume: Volume, latest: Modification) => string } = {
  'volume-id': ({ id }) => id,
  'modification-state': (_, { state }) => state,
  'target-size': (_, { to }) => String(to.size),
  'original-size': (_, { from }) => String(from.size),
};

/** Describes the most recent modification of each volume; a volume that never was modified has none. */
const describeVolumesModifications: Action = async (parameters, context) => {
  await advanceModifications(context);
  const ids = readList(parameters, 'VolumeId');
  for (const id of ids) {
    if (findLatest(findVolume(id, context)) !== undefined) continue;
    throw new ApiError(
      'InvalidVolumeModification.NotFound',
      `Modification for volume '${id}' does not exist.`,
    );
  }
  const filters = readFilters(parameters);
  const unknown = filters.find(({ name }) => FILTERS[name] === undefined);
  if (unknown !== undefined)
    throw new ApiError('InvalidParameterValue', `The filter '${unknown.name}' is invalid`);
  const { tables, clock } = context.world;
  const found = Object.values(tables.volumes).flatMap((volume) => {
    const latest = findLatest(volume);
    const isMeant =
      latest !== undefined &&
      volume.region === context.region &&
      (ids.length === 0 || ids.includes(volume.id)) &&
      filters.every(({ name, values }) => values.includes(FILTERS[name]?.(volume, latest) ?? ''));
    return isMeant ? [describeModification(volume, latest, clock.now())] : [];
  });
  return { volumeModificationSet: found };
};

/** The operations that the lab has. */
export const ACTIONS: { readonly [name: string]: Action } = {
  DescribeInstanceConnectEndpoints: describeInstanceConnectEndpoints,
  DescribeVolumesModifications: describeVolumesModifications,
};
