import type { ClusterFile } from './cluster-file.ts';
import { findKey } from './cluster-schema.ts';
import type { AnnotationPlace } from './workflow-file.ts';

/**
 * The place of a problem in the cluster file: it begins with the file's path and a line, or with the name of an input
 * whose value came from the file. Null where it is somewhere else.
 */
export function locateInFile(
  problem: string,
  { path, file }: { path: string; file: ClusterFile | null },
): AnnotationPlace | null {
  if (path === '') return null;
  const title = 'Cluster file';
  if (problem.startsWith(`${path}:`)) {
    const line = /^(\d+): /.exec(problem.slice(path.length + 1))?.[1];
    return line === undefined ? null : { file: path, startLine: Number(line), title };
  }
  const key = findKey(/^([a-z][a-z-]*): /.exec(problem)?.[1] ?? '');
  const line = key === null ? undefined : file?.values.get(key)?.line;
  return line === undefined ? null : { file: path, startLine: line, title };
}
