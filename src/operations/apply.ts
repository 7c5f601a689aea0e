import type { SurvivorOptions } from '../process/child-process.ts';
import type { Terraform } from '../terraform/cli.ts';
import type { Permit } from '../terraform/permit.ts';
import { writeResult } from './result.ts';

/** What was applied and what the state holds now. */
export interface ApplyResult {
  readonly outputs: unknown;
  /** Path of the result as JSON. */
  readonly jsonFile: string;
}

/** Applies exactly the plan that is permitted; an empty one changes nothing but is still read back. */
export async function apply(
  terraform: Terraform,
  options: {
    directory: string;
    permitted: Permit;
    /** Of the plan. */
    digest: string;
    outlives: SurvivorOptions;
  },
): Promise<ApplyResult> {
  const { permitted, digest, directory, outlives } = options;
  const { summary } = permitted;
  if (summary.hasChanges) await terraform.apply(permitted, outlives);
  const outputs = await terraform.outputs();
  const result = { counts: summary.counts, planDigest: digest, outputs };
  return { outputs, jsonFile: await writeResult(directory, 'apply', result) };
}
