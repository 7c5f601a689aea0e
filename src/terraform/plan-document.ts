import { z } from 'zod';
import type { Json } from './attributes.ts';

const json: z.ZodType<Json> = z.any();
const path = z.array(z.union([z.string(), z.number()]));
const change = z.object({
  actions: z.array(z.string()),
  before: json.optional(),
  after: json.optional(),
  after_unknown: json.optional(),
  before_sensitive: json.optional(),
  after_sensitive: json.optional(),
  replace_paths: z.array(path).optional(),
  importing: z.object({ id: z.string().optional() }).nullish(),
});
const resource = z.object({
  address: z.string(),
  previous_address: z.string().optional(),
  mode: z.string(),
  type: z.string(),
  name: z.string(),
  index: z.union([z.string(), z.number()]).optional(),
  deposed: z.string().optional(),
  action_reason: z.string().optional(),
  change,
});
const planDocument = z.object({
  format_version: z.string(),
  terraform_version: z.string().default('unknown'),
  errored: z.boolean().default(false),
  resource_changes: z.array(resource).default([]),
  resource_drift: z.array(resource).default([]),
  output_changes: z.record(z.string(), change).default({}),
  relevant_attributes: z
    .array(z.object({ resource: z.string(), attribute: path.default([]) }))
    .default([]),
});

/** The part of a plan's JSON that is used. */
export type PlanDocument = z.infer<typeof planDocument>;

/** An entry of `resource_changes` or `resource_drift`. */
export type Resource = z.infer<typeof resource>;

/** The change of a resource or an output. */
export type Change = z.infer<typeof change>;

/**
 * Validates the parsed output of `terraform show -json <plan file>` (Terraform's "JSON Output Format", major version 1).
 * Unused parts are not checked.
 *
 * Throws if it is another document, has another major version, or belongs to a failed plan.
 */
export function parsePlan(planJson: unknown): PlanDocument {
  const version = z.object({ format_version: z.string() }).safeParse(planJson).data?.format_version;
  if (version === undefined) {
    throw new Error(
      'The plan is not in the format of `terraform show -json <plan file>`: it has no format_version.',
    );
  }
  if (!version.startsWith('1.')) {
    throw new Error(
      `The plan JSON has format version ${version}; this action reads version 1. Use a Terraform 1.x, or a newer release of this action.`,
    );
  }
  const parsed = planDocument.safeParse(planJson);
  if (!parsed.success) {
    throw new Error(`The plan JSON cannot be read: ${z.prettifyError(parsed.error)}`, {
      cause: parsed.error,
    });
  }
  if (parsed.data.errored) {
    throw new Error(
      'Terraform could not finish this plan. Its messages are in the log of the plan.',
    );
  }
  return parsed.data;
}
