import { createHash } from 'node:crypto';
import { relative, resolve } from 'node:path';
import type { RunnerEnvironment } from '../runner/environment.ts';

/**
 * Returns the identity that tells a cluster from every other of the repository. It depends on the inputs alone: the
 * runners of a review and of its merge may have different work folders, behind links. Two files that describe the same
 * cluster, by mistake or to cover one plan with another, have different identities.
 *
 * @param cluster.workingDirectory relative to the workspace
 * @param cluster.clusterFile null: the inputs describe the cluster
 */
export function identifyCluster(
  { workspace }: Pick<RunnerEnvironment, 'workspace'>,
  cluster: { name: string; region: string; workingDirectory: string; clusterFile: string | null },
): string {
  const { name, region, workingDirectory, clusterFile: file } = cluster;
  const directory = relative(workspace, resolve(workspace, workingDirectory));
  return hashIdentity({ name, region, directory, file });
}

/**
 * Returns the identity in the marker of a cluster's comment. Two clusters may share a name if region or folder differ; the
 * hash keeps the folder's name out of the marker.
 */
export function hashIdentity(cluster: {
  name: string;
  region: string;
  /** Relative to the workspace. */
  directory: string;
  /** Path of the cluster file; null: none. */
  file: string | null;
}): string {
  const { name, region, directory, file } = cluster;
  const hash = createHash('sha256')
    .update(JSON.stringify([name, region, directory, ...(file === null ? [] : [file])]))
    .digest('hex');
  return `${name}/${hash.slice(0, 12)}`;
}
