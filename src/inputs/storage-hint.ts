import { type ClusterKey, clusterSchema } from './cluster-schema.ts';

/** Suggestions for values of volumes and copies; the same as in input-hint.ts. */
type Hint = (value: string) => string | null;

/** Suggests a value unless the input does not allow it either. */
function suggest(key: ClusterKey, value: string | number): string | null {
  const isAllowed = clusterSchema.shape[key].safeParse(value).success;
  return isAllowed ? `Did you mean ${value}?` : null;
}

/** Says the unit of a whole number that was given with one, and suggests the number. */
const suggestWithout = (unit: string, key: ClusterKey, value: number): string =>
  [`The unit is ${unit}.`, suggest(key, value)].filter((part) => part !== null).join(' ');

const GIB: Readonly<Record<string, number>> = { g: 1, t: 1024 };

/** `500GB`, `2 TiB`: the unit is left out. */
export const hintGib =
  (key: 'data_volume_size' | 'root_volume_size'): Hint =>
  (value) => {
    const [, digits, unit = ''] = /^(\d{1,6})\s*([gt])i?b?$/i.exec(value.trim()) ?? [];
    if (digits === undefined) return null;
    return suggestWithout('GiB', key, Number(digits) * (GIB[unit.toLowerCase()] ?? 1));
  };

/** `6,000`, `6k`, `6000 IOPS` */
export function hintIops(value: string): string | null {
  const plain = value.trim().replace(/\s*iops$/i, '');
  const grouped = /^\d{1,3}([,._ ]\d{3})+$/.test(plain) ? plain.replace(/\D/g, '') : plain;
  const [, digits, thousands = ''] = /^(\d{1,6})\s*(k?)$/i.exec(grouped) ?? [];
  if (digits === undefined || digits === value) return null;
  return suggest('data_volume_iops', Number(digits) * (thousands === '' ? 1 : 1_000));
}

/** `250MB/s`, `250 MiBps` */
export function hintThroughput(value: string): string | null {
  const digits = /^(\d{1,4})\s*mi?b?(\/s|ps)?$/i.exec(value.trim())?.[1];
  if (digits === undefined) return null;
  return suggestWithout('MiB/s', 'data_volume_throughput', Number(digits));
}

/** `50M`, `50 MB/s`, `51200k` */
export function hintRate(value: string): string | null {
  const [, digits, unit = ''] =
    /^([1-9]\d{0,6})\s*([kmg])i?(?:b|B)?(?:\/s(?:ec)?|ps)?$/i.exec(value.trim()) ?? [];
  if (digits === undefined) return null;
  return suggest(
    'clone_max_rate',
    `${digits}${unit.toLowerCase() === 'k' ? 'kB' : `${unit.toUpperCase()}B`}`,
  );
}

/** A key's id or alias instead of its ARN. */
export function hintKmsKey(value: string): string | null {
  const plain = value.trim();
  const resource = /^alias\/[\w/-]+$/.test(plain)
    ? plain
    : /^(mrk-)?[0-9a-f-]{32,36}$/.test(plain)
      ? `key/${plain}`
      : null;
  return resource === null
    ? null
    : `Give the whole ARN, arn:aws:kms:REGION:ACCOUNT:${resource} with your region and account.`;
}

/** `80%` */
export function hintPercent(value: string): string | null {
  const digits = /^(\d{1,3})\s*%$/.exec(value.trim())?.[1];
  return digits === undefined ? null : suggest('storage_alert_percent', Number(digits));
}

/** `5h`, `330 min` */
export function hintMinutes(value: string): string | null {
  const [, digits, hours] = /^(\d{1,4})\s*(?:(h|hours?)|m|min|minutes?)$/i.exec(value.trim()) ?? [];
  if (digits === undefined) return null;
  return suggestWithout('minutes', 'wait_minutes', Number(digits) * (hours === undefined ? 1 : 60));
}
