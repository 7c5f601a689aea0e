import { formatDuration } from './quantities.ts';

const MONTHS = [
  ...['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun'],
  ...['Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
];

/** A day in seconds. */
export const DAY = 24 * 3600;

/** Returns the seconds since the epoch. */
export const toSeconds = (time: Date): number => Math.floor(time.getTime() / 1000);

/**
 * Returns a moment in UTC without the zone, short enough for a phone: `02:31` on the day of `reference`, which is now or a
 * moment named before, `12 Nov 02:31` in its year, else `12 Nov 2025 02:31`. Both in seconds since the epoch.
 */
export function formatMoment(moment: number, reference: number): string {
  const [date, today] = [moment, reference].map((seconds) => new Date(seconds * 1000)) as [
    Date,
    Date,
  ];
  const time = date.toISOString().slice(11, 16);
  if (Math.floor(moment / DAY) === Math.floor(reference / DAY)) return time;
  const year = date.getUTCFullYear() === today.getUTCFullYear() ? '' : `${date.getUTCFullYear()} `;
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${year}${time}`;
}

/** Returns a moment to the second, e.g. `2026-11-27 02:30:00 UTC`; in seconds since the epoch. */
export function formatSecond(moment: number): string {
  return `${new Date(moment * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Returns how long before `now` a moment was, e.g. `20 min ago` or `7 h ago`; in days from two days on. */
export function formatAge(moment: number, now: number): string {
  const seconds = Math.max(0, now - moment);
  if (seconds >= 2 * DAY) return `${Math.floor(seconds / DAY)} days ago`;
  return `${seconds >= 3600 ? `${Math.floor(seconds / 3600)} h` : formatDuration(seconds)} ago`;
}
