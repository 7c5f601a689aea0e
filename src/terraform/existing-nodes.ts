import { z } from 'zod';
import { type Node, nodeName } from '../cluster/node.ts';
import { UserError } from '../messages/errors.ts';
import { buildNodeChanges } from './node-changes.ts';
import * as values from './node-values.ts';
import type { PlanSummary } from './plan.ts';
import type { PlanDocument } from './plan-document.ts';

const instance = z.object({
  id: z.string(),
  instance_type: z.string(),
  instance_state: z.string().nullish(),
  private_ip: z.string(),
  public_ip: z.string().nullish(),
});
const volume = z.object({ id: z.string(), availability_zone: z.string() });
const dnsRecord = z.object({ name: z.string() });
const existingNode: z.ZodType<Node> = z.object({
  name: values.name,
  instanceId: values.instanceId,
  instanceType: values.instanceType,
  privateAddress: values.address,
  publicAddress: values.address,
  dnsName: values.dnsName,
  volumeId: values.volumeId,
  zone: values.zone,
});

/** The nodes that a plan found, before its changes. */
export interface ExistingNodes {
  /** In number order. */
  readonly nodes: readonly Node[];
  /** Nodes whose instance does not run, with EC2's name of its state (`stopped`, `stopping`, …). */
  readonly notRunning: readonly { readonly node: Node; readonly state: string }[];
}

/**
 * Reads the nodes as the plan's refresh found them. The outputs of the state are older: since the last apply, an instance
 * may have been terminated, or stopped and started with a new public address.
 *
 * @throws UserError if a node has a value that AWS does not use
 */
export function readExistingNodes(plan: PlanDocument): ExistingNodes {
  const find = (type: string, name: string) =>
    plan.resource_changes.filter(
      (resource) =>
        resource.type === type && resource.name === name && resource.deposed === undefined,
    );
  const readBefore = (type: string, name: string) =>
    new Map(find(type, name).map(({ index, change }) => [String(index), change.before]));
  const volumes = readBefore('aws_ebs_volume', 'data');
  const records = readBefore('aws_route53_record', 'node');
  // Nothing reaches a public address that a node had before its cluster got a NAT gateway.
  const isHidden = [...readBefore('aws_nat_gateway', 'own').values()].some(Boolean);
  const found = find('aws_instance', 'node').flatMap(({ index, change }) => {
    const machine = instance.safeParse(change.before);
    const disk = volume.safeParse(volumes.get(String(index)));
    if (!machine.success || !disk.success) return [];
    const node = requirePlain({
      name: nodeName(Number(index)),
      instanceId: machine.data.id,
      instanceType: machine.data.instance_type,
      privateAddress: machine.data.private_ip,
      publicAddress: isHidden ? '' : (machine.data.public_ip ?? ''),
      dnsName: dnsRecord.safeParse(records.get(String(index))).data?.name ?? '',
      volumeId: disk.data.id,
      zone: disk.data.availability_zone,
    });
    return [{ number: Number(index), node, state: machine.data.instance_state ?? 'running' }];
  });
  const ordered = found.sort((a, b) => a.number - b.number);
  return {
    nodes: ordered.map(({ node }) => node),
    notRunning: ordered.filter(({ state }) => state !== 'running'),
  };
}

function requirePlain(node: Node): Node {
  const { data, error } = existingNode.safeParse(node);
  if (data !== undefined) return data;
  throw new UserError(
    `The plan has a node with values that AWS does not use, so the plan is ignored: ${z.prettifyError(error)}. Find out who wrote Terraform's state, and restore the one of the last apply.`,
    { cause: error },
  );
}

/** EC2's names of states from which Terraform can start an instance, or wait until it can. */
const STARTABLE = ['pending', 'stopping', 'stopped'];

/**
 * Returns the nodes that `plan` keeps and whose instance is stopped, e.g. because EC2 had no capacity when its type
 * changed. A deploy starts them.
 */
export function findStopped({ notRunning }: ExistingNodes, plan: PlanSummary): Node[] {
  const { replace, destroy } = buildNodeChanges(plan);
  return notRunning
    .filter(({ state }) => STARTABLE.includes(state))
    .map(({ node }) => node)
    .filter(({ name }) => !replace.includes(name) && !destroy.includes(name));
}

/** Says, for each of these nodes, that a deploy starts it. */
export function explainStopped(found: ExistingNodes, plan: PlanSummary): string[] {
  return findStopped(found, plan).map(
    ({ name, instanceId }) =>
      `${name}: its instance ${instanceId} is stopped in EC2; the deploy starts it first.`,
  );
}

/** Returns EC2's word for the state of each node's instance, by the node's name. */
export function buildInstanceStates({ nodes, notRunning }: ExistingNodes): Record<string, string> {
  return {
    ...Object.fromEntries(nodes.map(({ name }) => [name, 'running'])),
    ...Object.fromEntries(notRunning.map(({ node, state }) => [node.name, state])),
  };
}

/** Returns the next step for each node whose instance neither runs nor can be started. */
export function explainUnstartable({ notRunning }: ExistingNodes): string[] {
  return notRunning
    .filter(({ state }) => !STARTABLE.includes(state))
    .map(
      ({ node, state }) =>
        `${node.name}: its instance ${node.instanceId} is ${state} in EC2. Wait until that ends and run this again; if its primary is lost, run the action with command: failover.`,
    );
}
