import { ApiError } from './api-error.ts';
import type { VolumeShape } from './world.ts';

/** Sizes in GiB (EBS User Guide, "Amazon EBS volume types"). */
const SIZES: { readonly [type: string]: readonly [number, number] } = {
  gp2: [1, 16384],
  gp3: [1, 65536],
  io1: [4, 16384],
  io2: [4, 65536],
  st1: [125, 16384],
  sc1: [125, 16384],
  standard: [1, 1024],
};

/** A gp3 volume's rates (EBS User Guide, "General Purpose SSD volumes"). */
const GP3 = {
  iops: [3000, 80000],
  throughput: [125, 2000],
  /** Rates above the least ones need a volume, and IOPS, of a certain size. */
  iopsPerGib: 500,
  throughputPerIops: 0.25,
} as const;

/** Refuses a size, rate or throughput that the volume's type does not support. */
export function refuseShape({ type, size, iops, throughput }: VolumeShape): void {
  const [least, most] = (Object.hasOwn(SIZES, type) ? SIZES[type] : undefined) ?? [];
  if (least === undefined || most === undefined) {
    throw new ApiError('InvalidParameterValue', `Volume type ${type} is invalid.`);
  }
  if (size < least || size > most) {
    throw new ApiError(
      'InvalidParameterValue',
      `Volume of ${size}GiB is invalid. The volume size for ${type} volumes must be between ${least} and ${most} GiB.`,
    );
  }
  if (type === 'gp3') refuseRates({ size, iops, throughput });
}

function refuseRates({ size, iops, throughput }: Omit<VolumeShape, 'type'>): void {
  const [leastIops, mostIops] = GP3.iops;
  if (iops < leastIops || iops > mostIops) {
    throw new ApiError(
      'InvalidParameterValue',
      `Volume iops of ${iops} is invalid; must be between ${leastIops} and ${mostIops}.`,
    );
  }
  const [leastThroughput, mostThroughput] = GP3.throughput;
  if (throughput < leastThroughput || throughput > mostThroughput) {
    throw new ApiError(
      'InvalidParameterValue',
      `Throughput of ${throughput} is invalid; must be between ${leastThroughput} and ${mostThroughput}.`,
    );
  }
  if (iops > leastIops && iops / size > GP3.iopsPerGib) {
    throw new ApiError(
      'InvalidParameterCombination',
      `Iops to volume size ratio of ${(iops / size).toFixed(6)} is too high; maximum is ${GP3.iopsPerGib.toFixed(6)} IOPS per GiB`,
    );
  }
  if (throughput / iops > GP3.throughputPerIops) {
    throw new ApiError(
      'InvalidParameterCombination',
      `Throughput (MiBps) to iops ratio of ${(throughput / iops).toFixed(6)} is too high; maximum is ${GP3.throughputPerIops.toFixed(6)} MiBps per iops`,
    );
  }
}

/** The rates that EC2 assigns to a volume if the request names none. */
export function chooseRates(
  type: string,
  size: number,
  wanted: { iops: number | null; throughput: number | null },
): { iops: number; throughput: number } {
  if (type === 'gp3') return { iops: wanted.iops ?? 3000, throughput: wanted.throughput ?? 125 };
  if (type === 'gp2') return { iops: Math.min(16000, Math.max(100, 3 * size)), throughput: 0 };
  return { iops: wanted.iops ?? 0, throughput: 0 };
}
