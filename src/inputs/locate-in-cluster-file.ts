import type { ClusterFile, FileValue } from './cluster-file.ts';
import { findKey } from './cluster-schema.ts';
import { findSetting } from './settings-input.ts';
import type { RawInputs } from './step-inputs.ts';

/** The location of an annotation, as `core.error` accepts it. */
interface SourceLocation {
  readonly file: string;
  readonly startLine: number;
  readonly title: string;
}

/**
 * Returns the location of a problem in the cluster file. The problem begins with the file's path and a line, or with an
 * input that only the file sets. Null for other problems. `given` are the step's own inputs.
 */
export function locateInFile(
  problem: string,
  { path, file, given }: { path: string; file: ClusterFile | null; given: RawInputs },
): SourceLocation | null {
  if (path === '') return null;
  const title = 'Cluster file';
  if (problem.startsWith(`${path}:`)) {
    const line = /^(\d+): /.exec(problem.slice(path.length + 1))?.[1];
    return line === undefined ? null : { file: path, startLine: Number(line), title };
  }
  const input = /^([a-z][a-z-]*): /.exec(problem)?.[1] ?? '';
  const key = input in given ? null : findKey(input);
  const value = key === null ? undefined : file?.values.get(key);
  const setting = key === 'settings' ? findSetting(problem) : null;
  const line = (setting !== null && findEntry(value, setting)) || value?.line;
  return line === undefined ? null : { file: path, startLine: line, title };
}

/** Returns the line of a setting, ignoring case. */
function findEntry(value: FileValue | undefined, setting: string): number | undefined {
  const entry = [...(value?.lines ?? [])].find(([name]) => name.toLowerCase() === setting);
  return entry?.[1];
}
