import { type DesiredCluster, renderFiles } from '../desired.ts';
import { slotName } from '../node.ts';
import { buildFreshObservation, type NodeObservation } from '../observation.ts';
import { findObstacle } from '../replication.ts';
import { measureCatchUp } from './catch-up.ts';
import { archive, backUp } from './predict-backup.ts';
import { prepare } from './predict-host.ts';
import { admit, clone, promote, reload, run, runAsPrimary, shutDown } from './predict-node.ts';
import { discard, growFileSystems } from './predict-storage.ts';
import type { Step, StepOf } from './step.ts';

/** The existing nodes, by name. */
export type NodesByName = ReadonlyMap<string, NodeObservation>;

/**
 * Returns what will be observed once `step` is done. The rollout plans its next step from it; the next run plans from a
 * real observation.
 */
export function predict(nodes: NodesByName, step: Step, desired: DesiredCluster): NodesByName {
  const next = new Map(nodes);
  const change = (name: string, update: (node: NodeObservation) => NodeObservation) => {
    const node = next.get(name);
    if (node) next.set(name, update(node));
  };
  const context = { desired, nodes };
  switch (step.kind) {
    case 'provision':
    case 'boot':
    case 'replace':
      for (const name of step.nodes) next.set(name, buildFreshObservation(name));
      break;
    case 'prepare':
      for (const name of step.nodes) change(name, (node) => prepare(node, step));
      break;
    case 'grow':
      for (const name of step.nodes) change(name, (node) => growFileSystems(node, step));
      break;
    case 'check':
    case 'verify':
    case 'resize':
    case 'halt':
      break;
    case 'initialise':
    case 'restore':
      change(step.nodes[0], (node) => runAsPrimary(prepare(node), step, context));
      break;
    case 'archive':
      for (const name of step.nodes) change(name, (node) => archive(node, step, desired));
      break;
    case 'backup':
      change(step.nodes[0], (node) => backUp(node, step));
      break;
    case 'record':
      for (const name of step.nodes)
        change(name, (node) => ({ ...node, rehearsal: step.rehearsal }));
      break;
    case 'admit':
      // A new slot does not bring back the WAL that its replica lacks, so the replica is cloned unless the archive has it.
      for (const replica of findReplicasToClone(nodes, step, desired)) {
        change(replica, (node) => ({ ...node, data: 'partial' }));
      }
      change(step.nodes[0], (node) => admit(node, step, context));
      break;
    case 'clone':
      for (const name of step.nodes) change(name, (node) => clone(node, step, context));
      break;
    case 'start':
    case 'restart':
      for (const name of step.nodes) change(name, (node) => run(node, step, context));
      break;
    case 'reload':
      for (const name of step.nodes) change(name, (node) => reload(node, step, context));
      break;
    case 'stop':
      for (const name of step.nodes)
        change(name, (node) => ({ ...shutDown(node), container: null }));
      break;
    case 'fence':
      change(step.nodes[0], (node) => ({ ...shutDown(node), standby: true }));
      break;
    case 'discard':
      change(step.nodes[0], (node) => discard(node, step));
      break;
    case 'switchover': {
      const [from, to] = step.nodes;
      const files = renderFiles(desired, { node: from, ...step });
      change(from, (node) => ({
        ...shutDown(node),
        standby: true,
        files: { ...node.files, ...files },
      }));
      change(to, (node) => ({
        ...promote(node, step, context),
        // It archives into the same repository.
        backup: node.files.pgbackrestConf === null ? null : (nodes.get(from)?.backup ?? null),
      }));
      break;
    }
    case 'promote':
      change(step.nodes[0], (node) => promote(node, step, context));
      break;
    case 'destroy':
      for (const name of step.nodes) next.delete(name);
      break;
  }
  // A step that concerns the server ends the work that runs there, or collects it.
  const leavesWork = ['prepare', 'grow', 'check', 'archive', 'backup', 'record'].includes(
    step.kind,
  );
  if (!leavesWork && !(step.kind === 'discard' && !step.data)) {
    for (const name of step.nodes) change(name, (node) => ({ ...node, work: null }));
  }
  return next;
}

/** Returns the replicas that can never follow, of those whose slot is created anew. */
function findReplicasToClone(
  nodes: NodesByName,
  step: StepOf<'admit'>,
  desired: DesiredCluster,
): string[] {
  const primary = nodes.get(step.nodes[0]);
  if (!primary) return [];
  const present = primary.postgres?.slots.filter(({ walStatus }) => walStatus !== 'lost') ?? [];
  return [...nodes.values()]
    .filter((node) => step.slots.includes(slotName(node.name)))
    .filter((node) => !present.some(({ name }) => name === slotName(node.name)))
    .filter((node) => node.data === 'complete' && findObstacle(node, primary) !== null)
    .filter((node) => measureCatchUp(node, primary, desired) === null)
    .map(({ name }) => name);
}
