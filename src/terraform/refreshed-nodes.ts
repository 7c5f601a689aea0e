import { z } from 'zod';
import { type ExistingNodes, readExistingNodes } from './existing-nodes.ts';
import { parsePlan } from './plan-document.ts';

const document = z.object({
  prior_state: z
    .object({
      values: z
        .object({
          root_module: z.object({
            resources: z
              .array(
                z.object({
                  address: z.string(),
                  mode: z.string(),
                  type: z.string(),
                  name: z.string(),
                  index: z.union([z.string(), z.number()]).optional(),
                  values: z.json(),
                }),
              )
              .default([]),
          }),
        })
        .optional(),
    })
    .optional(),
});

/**
 * Reads the nodes that a plan with `-refresh-only` found, without instances that no longer exist. Its `prior_state` is
 * the state after the refresh (Terraform's "JSON Output Format", "Plan Representation"), and it has no changes.
 *
 * @throws UserError if a node has a value that AWS does not use
 * @throws Error if the JSON is not a plan
 */
export function readRefreshedNodes(planJson: unknown): ExistingNodes {
  const plan = parsePlan(planJson);
  const { data, error } = document.safeParse(planJson);
  if (error) throw new Error(`The plan JSON cannot be read: ${z.prettifyError(error)}`);
  const resources = data.prior_state?.values?.root_module.resources ?? [];
  return readExistingNodes({
    ...plan,
    resource_changes: resources.map(({ values, ...resource }) => ({
      ...resource,
      change: { actions: ['no-op'], before: values },
    })),
  });
}
