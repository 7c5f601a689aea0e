import { type Node, renderPgHba, renderPostgresqlConf } from './configuration.ts';
import type { Settings } from './settings.ts';

/** The state the cluster shall reach. */
export interface DesiredCluster {
  readonly name: string;
  /** In number order; the first becomes the primary only where no node holds data. */
  readonly nodes: readonly Node[];
  /** Image reference as asked for, e.g. `postgres:17`. */
  readonly image: string;
  /** What the team chose; managed settings are added to it. */
  readonly settings: Settings;
  readonly clientCidrs: readonly string[];
}

/** The configuration files of `node` once it follows `primary` with `settings`. */
export function renderFiles(
  desired: DesiredCluster,
  options: { node: string; primary: string; settings: Settings },
): { postgresqlConf: string; pgHba: string } {
  const { node, primary, settings } = options;
  const upstream = node === primary ? null : desired.nodes.find(({ name }) => name === primary);
  if (upstream === undefined)
    throw new Error(`${primary} is not a node of cluster ${desired.name}`);
  return {
    postgresqlConf: renderPostgresqlConf({ node, clusterName: desired.name, settings, upstream }),
    pgHba: renderPgHba(desired.nodes, desired.clientCidrs),
  };
}
