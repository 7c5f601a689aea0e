import type { SurvivorOptions } from '../process/child-process.ts';
import type { Terraform } from '../terraform/cli.ts';
import type { Permit } from '../terraform/permit.ts';
import { writeResult } from './result.ts';

/** The result of an apply. */
export interface ApplyResult {
  /** Terraform's outputs afterwards. */
  readonly outputs: unknown;
  /** Path of the result as JSON. */
  readonly jsonFile: string;
}

/** Applies exactly the permitted plan and reads the outputs, also if the plan is empty. */
export async function apply(
  terraform: Terraform,
  options: {
    directory: string;
    permitted: Permit;
    /** The plan's digest. */
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
