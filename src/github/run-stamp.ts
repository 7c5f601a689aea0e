import { MARKER_PREFIX } from './marker.ts';

/** A workflow run; a rerun keeps its id and counts its attempts. */
export interface Run {
  /** `GITHUB_RUN_ID`, which grows from run to run. */
  readonly id: number;
  /** `GITHUB_RUN_ATTEMPT`, from 1. */
  readonly attempt: number;
}

/** Whether `run` began after `other`. */
export function isLater(run: Run, other: Run): boolean {
  return run.id > other.id || (run.id === other.id && run.attempt > other.attempt);
}

/** Whether both are the same attempt of the same run. */
export function isSameRun(run: Run, other: Run): boolean {
  return run.id === other.id && run.attempt === other.attempt;
}

/** Returns the hidden line that names the run behind the text below. */
export function renderStamp({ id, attempt }: Run): string {
  return `${MARKER_PREFIX} run: ${id}/${attempt} -->`;
}

/** Parses a line of `renderStamp`; null for any other line and for undefined. */
export function readStamp(line: string | undefined): Run | null {
  if (line === undefined || !line.startsWith(MARKER_PREFIX)) return null;
  const [, id, attempt] =
    /^ run: (\d{1,15})\/(\d{1,9}) -->$/.exec(line.slice(MARKER_PREFIX.length)) ?? [];
  return id === undefined ? null : { id: Number(id), attempt: Number(attempt) };
}
