import type { DesiredCluster } from '../desired.ts';
import { compareNames, type Node } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { isRunningPrimary } from '../replication.ts';
import { ClusterState } from './cluster-state.ts';
import type { UnobservedPlan } from './planned-changes.ts';
import type { Rollout } from './rollout.ts';
import type { Step } from './step.ts';

/** A node at one moment; null where unknown. */
export interface NodeState {
  readonly role: 'primary' | 'replica' | null;
  /** Availability zone. */
  readonly zone: string | null;
  readonly instanceType: string | null;
  /** Digest (`sha256:…`) where it was observed, otherwise the desired reference. */
  readonly image: string | null;
}

/** The most severe thing that happens to a node. */
export type Consequence =
  | 'untouched'
  | 'reloaded'
  | 'promoted'
  | 'restarted'
  | 'resized'
  | 'replaced'
  | 're-cloned'
  | 'new'
  | 'removed';

/** A node before and after. */
export interface TopologyChange {
  readonly name: string;
  /** Null: it does not exist yet. */
  readonly before: NodeState | null;
  /** Null: it is removed. */
  readonly after: NodeState | null;
  /** Null where unknown. */
  readonly consequence: Consequence | null;
}

/**
 * Returns every node before and after a change, in number order. `observed`: the nodes that were observed; `zones`: the
 * zones of new nodes, by name. The roles afterwards are those that the rollout leads to.
 */
export function buildTopologyChange(options: {
  observed: readonly NodeObservation[];
  existing: readonly Node[];
  zones: Readonly<Record<string, string>>;
  /** Nodes that get another instance. */
  replaced: readonly string[];
  /** Nodes that get another instance type. */
  resized: readonly string[];
  /** Nodes that get a blank data volume. */
  fresh: readonly string[];
  database: Rollout | Pick<UnobservedPlan, 'kind'>;
  desired: DesiredCluster;
}): TopologyChange[] {
  const { observed, existing, zones, replaced, resized, fresh, database, desired } = options;
  const steps = database.kind === 'steps' ? database.steps : null;
  // If the nodes are observed again after the steps, the outcome is not known.
  const isOpen = database.kind === 'steps' && database.observeAgain;
  const end = steps?.reduce(
    (cluster, step) => cluster.after(step),
    ClusterState.fromObservation(observed, desired),
  );
  const names = new Set([...existing, ...desired.nodes].map(({ name }) => name));
  return [...names].sort(compareNames).map((name): TopologyChange => {
    const observation = observed.find((node) => node.name === name);
    const current = existing.find((node) => node.name === name);
    const stays = desired.nodes.find((node) => node.name === name);
    const before = current === undefined ? null : buildBefore(current, observation);
    const after =
      stays === undefined
        ? null
        : {
            role:
              end === undefined || isOpen ? (before?.role ?? null) : findRole(name, end.primary),
            zone: current?.zone ?? zones[name] ?? null,
            instanceType: desired.instanceType ?? stays.instanceType,
            image: findImageAfter(observation, desired),
          };
    const consequence =
      before === null
        ? // Its instance is gone, and its data volume is not.
          fresh.includes(name)
          ? 'new'
          : 'replaced'
        : after === null
          ? 'removed'
          : findConsequence(name, { steps, observation, replaced, resized, isOpen });
    return { name, before, after, consequence };
  });
}

function buildBefore(node: Node, observation: NodeObservation | undefined): NodeState {
  return {
    role: observation === undefined ? null : readRole(observation),
    zone: node.zone,
    instanceType: node.instanceType,
    image: readDigest(observation),
  };
}

function readRole(node: NodeObservation): NodeState['role'] {
  if (isRunningPrimary(node)) return 'primary';
  if (node.postgres?.inRecovery || node.standby) return 'replica';
  return null;
}

const findRole = (name: string, primary: string) => (name === primary ? 'primary' : 'replica');

/** Returns the image after the rollout. While the reference is unchanged, its digest stays, even if the tag has moved. */
function findImageAfter(observation: NodeObservation | undefined, desired: DesiredCluster): string {
  const isSame = observation?.record?.image === desired.image;
  return (
    (isSame ? readDigest(observation) : (observation?.host.imageDigest ?? null)) ?? desired.image
  );
}

function readDigest(node: NodeObservation | undefined): string | null {
  const digest = node?.record?.digest;
  return digest === undefined ? null : digest.slice(digest.lastIndexOf('@') + 1);
}

function findConsequence(
  name: string,
  options: {
    steps: readonly Step[] | null;
    observation: NodeObservation | undefined;
    replaced: readonly string[];
    resized: readonly string[];
    isOpen: boolean;
  },
): Consequence | null {
  const { steps, observation, replaced, resized, isOpen } = options;
  if (replaced.includes(name)) return 'replaced';
  if (steps === null) return resized.includes(name) ? 'resized' : null;
  const found = steps
    .filter(({ nodes }) => nodes.includes(name))
    .map((step) => classifyStep(step, name));
  const worst = BY_SEVERITY.find((consequence) => found.includes(consequence));
  if (worst === undefined) return isOpen ? null : 'untouched';
  // Without earlier data nothing is cloned again.
  return worst === 're-cloned' && observation?.data === 'absent' ? 'new' : worst;
}

/** The most severe first. */
const BY_SEVERITY: readonly Consequence[] = [
  're-cloned',
  'replaced',
  'resized',
  'restarted',
  'promoted',
  'reloaded',
];

function classifyStep(step: Step, name: string): Consequence {
  switch (step.kind) {
    case 'clone':
    case 'initialise':
    case 'restore':
      return 're-cloned';
    case 'replace':
    case 'provision':
      return 'replaced';
    case 'resize':
      return 'resized';
    case 'boot':
    case 'restart':
    case 'start':
    case 'stop':
    case 'fence':
    case 'halt':
      return 'restarted';
    case 'switchover':
      return step.nodes[0] === name ? 'restarted' : 'promoted';
    case 'promote':
      return 'promoted';
    case 'reload':
    case 'admit':
      return 'reloaded';
    case 'prepare':
    case 'grow':
    case 'check':
    case 'discard':
    case 'archive':
    case 'backup':
    case 'verify':
    case 'record':
      return 'untouched';
    case 'destroy':
      return 'removed';
  }
}
