import { quoteValue } from '../messages/quote-value.ts';
import { type Description, readValue } from './description.ts';

/** The performance that every gp3 volume has, whatever its size. */
const BASE_IOPS = 3_000;
/** EBS User Guide, "General Purpose SSD volumes": limits of provisioned performance. */
const IOPS_PER_GIB = 500;
const IOPS_PER_MIBPS = 4;

/** Checks values of volumes that depend on each other, or on the region. */
export function checkStorage(description: Description): string[] {
  return [
    ...checkIops(description),
    ...checkThroughput(description),
    ...checkKeyRegion(description),
  ];
}

function checkIops(description: Description): string[] {
  const iops = readValue(description, 'data_volume_iops');
  const size = readValue(description, 'data_volume_size');
  if (iops === null || size === null) return [];
  const most = Math.max(BASE_IOPS, size * IOPS_PER_GIB);
  if (iops <= most) return [];
  const given = description.get('data_volume_iops');
  return [
    `${given?.name}: ${iops} is not allowed. A volume of ${size} GiB (data-volume-size) can have at most ${most} IOPS, ${IOPS_PER_GIB} for each GiB. Give at most ${most}, or at least ${Math.ceil(iops / IOPS_PER_GIB)} GiB.`,
  ];
}

function checkThroughput(description: Description): string[] {
  const throughput = readValue(description, 'data_volume_throughput');
  if (throughput === null) return [];
  const given = description.get('data_volume_iops');
  const iops = given === undefined ? BASE_IOPS : readValue(description, 'data_volume_iops');
  if (iops === null || throughput * IOPS_PER_MIBPS <= iops) return [];
  return [
    `${description.get('data_volume_throughput')?.name}: ${throughput} is not allowed. With ${iops} IOPS (data-volume-iops${given === undefined ? ' is not given' : ''}) a volume can have at most ${Math.floor(iops / IOPS_PER_MIBPS)} MiB/s, a quarter of the IOPS. Give at most that, or at least ${throughput * IOPS_PER_MIBPS} IOPS.`,
  ];
}

function checkKeyRegion(description: Description): string[] {
  const key = readValue(description, 'kms_key_id');
  const region = readValue(description, 'region');
  const home = key?.split(':')[3];
  if (key === null || region === null || home === region) return [];
  return [
    `${description.get('kms_key_id')?.name}: ${quoteValue(key)} is not allowed. It is a key of ${home}, and volumes in ${region} (region) can only use keys of ${region}. Give one of those.`,
  ];
}
