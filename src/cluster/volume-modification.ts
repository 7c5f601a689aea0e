import { type NodeVolume, VOLUME_UNITS, type VolumeAttribute } from './volume.ts';

/** The most recent modification of a volume, as EC2 describes it. */
export interface VolumeModification {
  /** Id of the volume. */
  readonly volume: string;
  readonly state: 'modifying' | 'optimizing' | 'completed' | 'failed';
  /** Percent; null if EC2 does not tell. */
  readonly progress: number | null;
  readonly started: Date;
  /** Size in GiB, IOPS, throughput in MiB/s. */
  readonly changes: readonly {
    readonly attribute: VolumeAttribute;
    readonly before: number;
    readonly after: number;
  }[];
}

/** A volume of the cluster. */
export interface ClusterVolume extends NodeVolume {
  /** Whether the plan modifies it. */
  readonly isModified: boolean;
}

/** What EBS says about the modifications that a plan makes. Sentences. */
export interface VolumeReport {
  /** Why EBS would refuse the plan now, with the next step. */
  readonly refusals: readonly string[];
  readonly notes: readonly string[];
}

/** Nothing to say: the plan modifies no volume. */
export const NO_VOLUMES: VolumeReport = { refusals: [], notes: [] };

const DAY_MS = 24 * 3600 * 1000;
const LIMIT = 'EBS modifies a volume at most four times in 24 hours';

/**
 * Judges a plan by the most recent modifications of the cluster's volumes (EBS User Guide, "Requirements for EBS volume
 * modifications"): EBS refuses to modify a volume again before its last modification is completed. It also refuses the
 * fifth one in 24 hours, which cannot be foreseen: EC2 describes only the most recent one.
 */
export function judgeModifications(
  volumes: readonly ClusterVolume[],
  {
    modifications,
    region,
    now,
  }: { modifications: readonly VolumeModification[]; region: string; now: Date },
): VolumeReport {
  const found = volumes.flatMap((volume) => {
    const last = modifications.find(({ volume: id }) => id === volume.id);
    return last === undefined ? [] : [{ volume, last }];
  });
  const isBusy = ({ last }: (typeof found)[number]) =>
    last.state === 'modifying' || last.state === 'optimizing';
  const refused = found.filter((one) => one.volume.isModified && isBusy(one));
  const others = found.filter((one) => !one.volume.isModified && isBusy(one));
  const recent = found.filter(
    (one) =>
      one.volume.isModified && !isBusy(one) && now.getTime() - one.last.started.getTime() < DAY_MS,
  );
  return {
    refusals: refused.map(
      ({ volume, last }) =>
        `${describe(volume, last)}. EBS does not modify a volume again before that is completed, which can take hours. Run this again then. Its state is shown by: aws ec2 describe-volumes-modifications --region ${region} --volume-ids ${volume.id}`,
    ),
    notes: [
      ...others.map(({ volume, last }) => `${describe(volume, last)}.`),
      ...recent.map(
        ({ volume, last }) =>
          `${describe(volume, last)}. ${LIMIT}; EC2 tells only the last one, so an earlier one of today may be missing here.`,
      ),
    ],
  };
}

/** Says why the limits are not known; the plan goes on without them. */
export function explainUnchecked(reason: string): string {
  return `${LIMIT}, and not before the last modification is completed. This could not be checked: ${reason}`;
}

/** e.g. `vol-0a of node-2 (data) is optimizing, 40 %, since 2026-11-26 14:03 UTC (size 20 → 40 GiB)`. */
function describe({ id, node, kind }: ClusterVolume, last: VolumeModification): string {
  const { state, progress, started, changes } = last;
  const what = changes
    .map(
      ({ attribute, before, after }) =>
        `${attribute} ${before} → ${after} ${VOLUME_UNITS[attribute]}`,
    )
    .join(', ');
  const time = `${started.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const subject = `${id} of ${node} (${kind})`;
  const tail = what === '' ? '' : ` (${what})`;
  switch (state) {
    case 'modifying':
    case 'optimizing': {
      const percent = progress === null ? '' : `, ${progress} %`;
      return `${subject} is ${state}${percent}, since ${time}${tail}`;
    }
    case 'completed':
      return `${subject} was last modified at ${time}${tail}`;
    case 'failed':
      return `${subject}: its modification of ${time}${tail} failed, and EBS advises to try again`;
  }
}
