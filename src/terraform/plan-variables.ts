import type { PlanOverrides } from './node-changes.ts';

/**
 * Renders overrides as Terraform's environment variables. They are not written to a file: one left over from an
 * interrupted run would apply to later plans as well.
 *
 * Throws if a value is not a plain name, because Terraform reads maps and lists as expressions.
 */
export function renderPlanVariables({
  instanceTypes,
  keptNodes,
  started = [],
  absent = [],
}: PlanOverrides): Record<string, string> {
  const invalid = Object.entries(instanceTypes).find(
    ([number, type]) => !/^\d+$/.test(number) || !/^[a-z0-9.-]+$/.test(type),
  );
  if (invalid) throw new Error(`node ${invalid[0]} has no instance type: ${invalid[1]}`);
  const other = [...keptNodes, ...started, ...absent].find((number) => !/^\d+$/.test(number));
  if (other !== undefined) throw new Error(`${other} is not the number of a node`);
  return {
    TF_VAR_node_instance_types: JSON.stringify(instanceTypes),
    TF_VAR_kept_nodes: JSON.stringify(keptNodes),
    TF_VAR_started_nodes: JSON.stringify(started),
    TF_VAR_absent_nodes: JSON.stringify(absent),
  };
}
