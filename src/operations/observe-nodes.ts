import type { ClusterObservation, Nodes } from '../ansible/nodes.ts';
import type { DesiredCluster } from '../cluster/desired.ts';
import type { Node } from '../cluster/node.ts';

/** How long a node may take to boot, in seconds. */
const BOOT_SECONDS = 300;
/** How long a node may take whose instance this run did not touch: it may be rebooting. */
const REBOOT_SECONDS = 60;
/** How long to wait for a node that may be lost. */
const LOST_SECONDS = 20;
/** How long the observation of a node may take that may hang. */
const HANGING_SECONDS = 120;

const NO_OBSERVATION: ClusterObservation = {
  observed: [],
  unreachable: [],
  broken: [],
  locked: [],
  failures: [],
};

/**
 * Observes `asked`, which may be empty.
 *
 * @param options.fresh nodes whose instance this run created
 * @param options.isBooting an instance may just be starting
 * @param options.mayBeLost a node may never answer, so it gets less time
 */
export async function observeNodes(
  nodes: Nodes,
  asked: readonly Node[],
  options: {
    desired: DesiredCluster;
    fresh: readonly string[];
    isBooting: boolean;
    mayBeLost: boolean;
  },
): Promise<ClusterObservation> {
  if (asked.length === 0) return NO_OBSERVATION;
  const { desired, fresh, isBooting, mayBeLost } = options;
  const limits = mayBeLost
    ? { waitSeconds: LOST_SECONDS, lookSeconds: HANGING_SECONDS }
    : { waitSeconds: isBooting ? BOOT_SECONDS : REBOOT_SECONDS };
  return nodes.observe(asked, { desired, fresh, ...limits });
}
