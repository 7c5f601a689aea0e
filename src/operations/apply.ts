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

/** Applies exactly the permitted plan and reads the outputs. Nothing is started for an empty plan. */
export async function apply(
  terraform: Terraform,
  options: {
    directory: string;
    permitted: Permit;
    /** The plan's digest. */
    digest: string;
    /** The outputs after the apply, as far as the plan knows them. */
    planned: unknown;
    outlives: SurvivorOptions;
  },
): Promise<ApplyResult> {
  const { permitted, digest, planned, directory, outlives } = options;
  const { summary } = permitted;
  if (summary.hasChanges) await terraform.apply(permitted, outlives);
  const outputs = summary.hasChanges ? await terraform.outputs() : planned;
  const result = { counts: summary.counts, planDigest: digest, outputs };
  return { outputs, jsonFile: await writeResult(directory, 'apply', result) };
}
