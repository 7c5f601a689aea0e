import type { ClusterFile } from './cluster-file.ts';
import { findKey } from './cluster-schema.ts';
import type { RawInputs } from './step.ts';
import type { AnnotationPlace } from './workflow-file.ts';

/**
 * The place of a problem in the cluster file: it begins with the file's path and a line, or with the name of an input
 * whose value came from the file alone. Null where it is somewhere else. `given`: the step's own inputs.
 */
export function locateInFile(
  problem: string,
  { path, file, given }: { path: string; file: ClusterFile | null; given: RawInputs },
): AnnotationPlace | null {
  if (path === '') return null;
  const title = 'Cluster file';
  if (problem.startsWith(`${path}:`)) {
    const line = /^(\d+): /.exec(problem.slice(path.length + 1))?.[1];
    return line === undefined ? null : { file: path, startLine: Number(line), title };
  }
  const input = /^([a-z][a-z-]*): /.exec(problem)?.[1] ?? '';
  const key = input in given ? null : findKey(input);
  const line = key === null ? undefined : file?.values.get(key)?.line;
  return line === undefined ? null : { file: path, startLine: line, title };
}
