import { majorOfTag } from './spec.ts';

/** The oldest major that this action supports. */
export const OLDEST_MAJOR = 14;

/** Last day of community support per major (PostgreSQL versioning policy). */
const END_OF_LIFE: Readonly<Record<number, string>> = {
  14: '2026-11-12',
  15: '2027-11-11',
  16: '2028-11-09',
  17: '2029-11-08',
  18: '2030-11-14',
};

/**
 * Warns when the PostgreSQL major of the tag no longer gets fixes on `today` (`YYYY-MM-DD`); null otherwise.
 */
export function warnEndOfLife(tag: string, today: string): string | null {
  const major = majorOfTag(tag);
  const end = major === null ? undefined : END_OF_LIFE[major];
  if (end === undefined || today <= end) return null;
  return `PostgreSQL ${major} has had no security fixes since ${end}. It still works here; plan the move to a supported major.`;
}
