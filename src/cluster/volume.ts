/** The volume of a node: `data` holds the database, `root` the system, images and logs. */
export type VolumeKind = 'data' | 'root';

/** An attribute of a volume that EBS changes in place while the volume is in use. */
export type VolumeAttribute = 'size' | 'iops' | 'throughput';

/** Units by attribute, to follow a number. */
export const VOLUME_UNITS: Readonly<Record<VolumeAttribute, string>> = {
  size: 'GiB',
  iops: 'IOPS',
  throughput: 'MiB/s',
};

/** A volume of a node, by its id in EC2. */
export interface NodeVolume {
  readonly node: string;
  readonly kind: VolumeKind;
  readonly id: string;
}
