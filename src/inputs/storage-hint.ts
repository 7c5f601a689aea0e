/** Suggestions for values of volumes and copies; the same as in input-hint.ts. */

const suggest = (value: string): string => `Did you mean ${value}?`;

const GIB: Readonly<Record<string, number>> = { g: 1, t: 1024 };

/** `500GB`, `2 TiB`: the unit is left out. */
export function hintGib(value: string): string | null {
  const [, digits, unit = ''] = /^(\d{1,6})\s*([gt])i?b?$/i.exec(value.trim()) ?? [];
  if (digits === undefined) return null;
  const size = Number(digits) * (GIB[unit.toLowerCase()] ?? 1);
  return size === 0 ? null : `The unit is GiB. ${suggest(String(size))}`;
}

/** `6,000`, `6k`, `6000 IOPS` */
export function hintIops(value: string): string | null {
  const plain = value.trim().replace(/\s*iops$/i, '');
  const grouped = /^\d{1,3}([,._ ]\d{3})+$/.test(plain) ? plain.replace(/\D/g, '') : plain;
  const [, digits, thousands = ''] = /^(\d{1,6})\s*(k?)$/i.exec(grouped) ?? [];
  if (digits === undefined || digits === value) return null;
  return suggest(String(Number(digits) * (thousands === '' ? 1 : 1_000)));
}

/** `250MB/s`, `250 MiBps` */
export function hintThroughput(value: string): string | null {
  const digits = /^(\d{1,4})\s*mi?b?(\/s|ps)?$/i.exec(value.trim())?.[1];
  return digits === undefined ? null : `The unit is MiB/s. ${suggest(digits)}`;
}

/** `50M`, `50 MB/s`, `51200k` */
export function hintRate(value: string): string | null {
  const [, digits, unit = ''] =
    /^([1-9]\d{0,6})\s*([kmg])i?(?:b|B)?(?:\/s|ps)?$/i.exec(value.trim()) ?? [];
  if (digits === undefined) return null;
  const meant = `${digits}${unit.toLowerCase() === 'k' ? 'kB' : `${unit.toUpperCase()}B`}`;
  return meant === value ? null : suggest(meant);
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
  return digits === undefined ? null : suggest(digits);
}

/** `5h`, `330 min` */
export function hintMinutes(value: string): string | null {
  const [, digits, hours] = /^(\d{1,4})\s*(?:(h|hours?)|m|min|minutes?)$/i.exec(value.trim()) ?? [];
  if (digits === undefined) return null;
  return `The unit is minutes. ${suggest(String(Number(digits) * (hours === undefined ? 1 : 60)))}`;
}
