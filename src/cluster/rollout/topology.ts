import type { DesiredCluster } from '../desired.ts';
import { compareNames, type Node } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { isRunningPrimary } from '../replication.ts';
import { ClusterState } from './cluster-state.ts';
import type { UnobservedPlan } from './planned-changes.ts';
import type { Rollout } from './rollout.ts';
import type { Step } from './step.ts';

/** What a node is at one moment; null where nobody knows. */
export interface NodeState {
  readonly role: 'primary' | 'replica' | null;
  /** Availability zone. */
  readonly zone: string | null;
  readonly instanceType: string | null;
  /** Digest (`sha256:…`) where it was seen, else the reference that is asked for. */
  readonly image: string | null;
}

/** What happens to a node, the most that does. */
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
  /** Null: it is yet to come. */
  readonly before: NodeState | null;
  /** Null: it goes. */
  readonly after: NodeState | null;
  /** Null where nobody knows. */
  readonly consequence: Consequence | null;
}

/**
 * Every node before and after a change, in number order. `observed`: those that were seen; `zones`: of nodes that
 * are yet to come, by name. The roles afterwards are those that the rollout leads to.
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
  const {
    observed,
    existing: standing,
    zones,
    replaced,
    resized,
    fresh,
    database,
    desired,
  } = options;
  const steps = database.kind === 'steps' ? database.steps : null;
  // Steps after which the nodes are looked at again lead to no end that is known.
  const isOpen = database.kind === 'steps' && database.observeAgain;
  const end = steps?.reduce(
    (view, step) => view.after(step),
    ClusterState.fromObservation(observed, desired),
  );
  const names = new Set([...standing, ...desired.nodes].map(({ name }) => name));
  return [...names].sort(compareNames).map((name): TopologyChange => {
    const seen = observed.find((node) => node.name === name);
    const stands = standing.find((node) => node.name === name);
    const stays = desired.nodes.find((node) => node.name === name);
    const before = stands === undefined ? null : buildBefore(stands, seen);
    const after =
      stays === undefined
        ? null
        : {
            role:
              end === undefined || isOpen ? (before?.role ?? null) : findRole(name, end.primary),
            zone: stands?.zone ?? zones[name] ?? null,
            instanceType: desired.instanceType ?? stays.instanceType,
            image: findImageAfter(seen, desired),
          };
    const consequence =
      before === null
        ? // Its instance is gone, its data volume is not.
          fresh.includes(name)
          ? 'new'
          : 'replaced'
        : after === null
          ? 'removed'
          : findConsequence(name, { steps, seen, replaced, resized, isOpen });
    return { name, before, after, consequence };
  });
}

function buildBefore(node: Node, seen: NodeObservation | undefined): NodeState {
  return {
    role: seen === undefined ? null : readRole(seen),
    zone: node.zone,
    instanceType: node.instanceType,
    image: readDigest(seen),
  };
}

function readRole(node: NodeObservation): NodeState['role'] {
  if (isRunningPrimary(node)) return 'primary';
  if (node.postgres?.inRecovery || node.standby) return 'replica';
  return null;
}

const findRole = (name: string, primary: string) => (name === primary ? 'primary' : 'replica');

/** The digest stays as long as the reference does. */
function findImageAfter(seen: NodeObservation | undefined, desired: DesiredCluster): string {
  const isSame = seen?.record?.image === desired.image;
  return (isSame ? readDigest(seen) : (seen?.host.imageDigest ?? null)) ?? desired.image;
}

function readDigest(node: NodeObservation | undefined): string | null {
  const digest = node?.record?.digest;
  return digest === undefined ? null : digest.slice(digest.lastIndexOf('@') + 1);
}

function findConsequence(
  name: string,
  options: {
    steps: readonly Step[] | null;
    seen: NodeObservation | undefined;
    replaced: readonly string[];
    resized: readonly string[];
    isOpen: boolean;
  },
): Consequence | null {
  const { steps, seen, replaced, resized, isOpen } = options;
  if (replaced.includes(name)) return 'replaced';
  if (steps === null) return resized.includes(name) ? 'resized' : null;
  const found = steps
    .filter(({ nodes }) => nodes.includes(name))
    .map((step) => classifyStep(step, name));
  const worst = BY_SEVERITY.find((consequence) => found.includes(consequence));
  if (worst === undefined) return isOpen ? null : 'untouched';
  // Where no data lay, nothing is copied over anything.
  return worst === 're-cloned' && seen?.data === 'absent' ? 'new' : worst;
}

/** The most that can happen first. */
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
    case 'check':
      return 'untouched';
    case 'destroy':
      return 'removed';
  }
}
