import type { VolumeAttribute, VolumeKind } from '../cluster/volume.ts';
import { listNodes } from './node-changes.ts';
import type { PlanSummary, ResourceChange } from './plan.ts';

/** A volume that the plan changes in place, without a new volume or a stop of its instance. */
export interface VolumeChange {
  readonly node: string;
  readonly kind: VolumeKind;
  readonly attribute: VolumeAttribute;
  /** Before the change, as EC2 reported it to this plan: size in GiB, IOPS, throughput in MiB/s. */
  readonly before: number;
  readonly after: number;
}

/** Inputs by the size that they request. */
export const SIZE_INPUTS: Readonly<Record<VolumeKind, string>> = {
  data: 'data-volume-size',
  root: 'root-volume-size',
};

/** Where the plan has the volumes and their attributes. */
const PLACES = [
  { kind: 'data', resource: 'aws_ebs_volume.data', attribute: 'size', path: 'size' },
  { kind: 'data', resource: 'aws_ebs_volume.data', attribute: 'iops', path: 'iops' },
  { kind: 'data', resource: 'aws_ebs_volume.data', attribute: 'throughput', path: 'throughput' },
  {
    kind: 'root',
    resource: 'aws_instance.node',
    attribute: 'size',
    path: 'root_block_device[0].volume_size',
  },
] as const;

/**
 * Lists the volumes that the plan changes in place: data volumes first, by attribute, then by node. New volumes, also
 * those in place of another one, are not in the list.
 */
export function listVolumeChanges(plan: PlanSummary): VolumeChange[] {
  return PLACES.flatMap(({ kind, resource: type, attribute, path }) =>
    listNodes(plan, type).flatMap(({ node, resource }) => {
      const change = readNumbers(resource, path);
      return change === null ? [] : [{ node, kind, attribute, ...change }];
    }),
  );
}

/** Lists the volumes that the plan would make smaller, which EBS refuses. */
export function listShrinks(plan: PlanSummary): VolumeChange[] {
  return listVolumeChanges(plan).filter(
    ({ attribute, before, after }) => attribute === 'size' && after < before,
  );
}

function readNumbers(
  { action, attributes }: ResourceChange,
  path: string,
): Pick<VolumeChange, 'before' | 'after'> | null {
  if (action !== 'update') return null;
  const { before, after } = attributes.find((one) => one.path === path) ?? {};
  if (before?.kind !== 'known' || after?.kind !== 'known') return null;
  if (typeof before.value !== 'number' || typeof after.value !== 'number') return null;
  return { before: before.value, after: after.value };
}
