import type { Outliving } from '../process.ts';
import type { Terraform } from '../terraform/cli.ts';
import type { PlanResult } from './plan.ts';
import { writeResult } from './result.ts';

/** What was applied and what the state holds now. */
export interface ApplyResult {
  readonly outputs: unknown;
  /** Path of the result as JSON. */
  readonly jsonFile: string;
}

/** Applies exactly the plan that was made; an empty one changes nothing but is still read back. */
export async function apply(
  terraform: Terraform,
  options: { directory: string; plan: PlanResult; outlives: Outliving },
): Promise<ApplyResult> {
  const { plan, directory, outlives } = options;
  if (plan.summary.hasChanges) await terraform.apply(plan.planFile, outlives);
  const outputs = await terraform.outputs();
  const result = { counts: plan.summary.counts, planDigest: plan.digest, outputs };
  return { outputs, jsonFile: await writeResult(directory, 'apply', result) };
}
