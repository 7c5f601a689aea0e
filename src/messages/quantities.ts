/** Returns e.g. `512 B` or `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const size = bytes / 1024 ** power;
  return `${power === 0 ? size : size.toFixed(1)} ${units[power]}`;
}

/** Returns a rate in kB (1,024 bytes) per second as the inputs write it, e.g. `50 MB/s`. */
export function formatRate(kilobytes: number): string {
  const [unit, size] =
    kilobytes % 1024 ** 2 === 0
      ? ['GB', 1024 ** 2]
      : kilobytes % 1024 === 0
        ? ['MB', 1024]
        : ['kB', 1];
  return `${kilobytes / size} ${unit}/s`;
}

/**
 * Returns how much of a copy is done, e.g. `212.0 GiB of 500.0 GiB (42 %)`. The total is an estimate: without one, or once
 * it is exceeded, e.g. `212.0 GiB so far`.
 */
export function formatCopied(doneBytes: number, totalBytes: number | null): string {
  const done = formatBytes(doneBytes);
  if (totalBytes === null || totalBytes === 0 || doneBytes > totalBytes) return `${done} so far`;
  return `${done} of ${formatBytes(totalBytes)} (${Math.floor((100 * doneBytes) / totalBytes)} %)`;
}

/** Returns e.g. `20 s`, `35 min` or `1 h 12 min`; at least `1 s`. */
export function formatDuration(seconds: number): string {
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest === 0 ? '' : ` ${rest} min`}`;
}
