import { ApiError } from '../api-error.ts';
import { findVolume } from '../ec2.ts';
import { advanceModifications, findLatest, measureProgress } from '../modification.ts';
import type { Context } from '../resource.ts';
import type { Modification, Volume } from '../world.ts';

/** A value in an answer: its element is left out if it is undefined. */
export type Xml =
  | string
  | number
  | boolean
  | undefined
  | readonly Xml[]
  | { readonly [name: string]: Xml };

/** An operation of the EC2 Query API: request parameters in, the content of the answer out. */
export type Action = (
  parameters: URLSearchParams,
  context: Context,
) => Promise<{ [name: string]: Xml }>;

/** Reads a list of the request: `VolumeId.1`, `VolumeId.2`, … */
function readList(parameters: URLSearchParams, name: string): string[] {
  return [...parameters]
    .filter(([key]) => new RegExp(`^${name}\\.\\d+$`).test(key))
    .map(([, value]) => value);
}

function readFilters(parameters: URLSearchParams): { name: string; values: string[] }[] {
  return [...parameters]
    .filter(([key]) => /^Filter\.\d+\.Name$/.test(key))
    .map(([key, name]) => ({
      name,
      values: readList(parameters, key.replace('Name', 'Value').replaceAll('.', '\\.')),
    }));
}

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
  DescribeVolumesModifications: describeVolumesModifications,
};
