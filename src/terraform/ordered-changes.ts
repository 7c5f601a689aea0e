import { kindOf } from './node-changes.ts';
import { isIdle, type PlanSummary, type ResourceChange } from './plan.ts';

/** What is destroyed with a node. */
const OF_NODES: readonly string[] = [
  'aws_instance.node',
  'aws_ebs_volume.data',
  'aws_volume_attachment.data',
  'aws_route53_record.node',
];

/** Outputs that follow the nodes: the stage that changes the nodes changes them as well. */
const FOLLOWING_OUTPUTS: readonly string[] = ['nodes', 'instance_memory_mib', 'dns_names'];

/** Whether an apply of the plan changes anything besides the outputs in the state. */
export function touchesResources({ resources }: PlanSummary): boolean {
  return resources.some(({ action }) => !isIdle(action));
}

/**
 * Whether a plan that resizes or removes nodes also has changes that come before the databases are asked. Without them the
 * first stage would apply nothing.
 */
export function hasChangesBeforeOrder({ resources, outputs }: PlanSummary): boolean {
  return (
    resources.some((one) => !isIdle(one.action) && !isOrdered(one)) ||
    outputs.some(({ name }) => !FOLLOWING_OUTPUTS.includes(name))
  );
}

/** Whether only a later stage makes the change: the removal of a node, or another type and nothing else. */
function isOrdered(resource: ResourceChange): boolean {
  const { action, deposed, attributes } = resource;
  const kind = kindOf(resource);
  if (action === 'delete') return OF_NODES.includes(kind) && deposed === null;
  return (
    action === 'update' &&
    kind === 'aws_instance.node' &&
    attributes.some(({ path }) => path === 'instance_type') &&
    attributes.every(({ path, after }) => path === 'instance_type' || after.kind === 'unknown')
  );
}
