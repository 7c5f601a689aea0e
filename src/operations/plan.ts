import { createHash } from 'node:crypto';
import type { AppliedDatabase } from '../cluster/settings/change.ts';
import type { Terraform } from '../terraform/cli.ts';
import { type ExistingNodes, readExistingNodes } from '../terraform/existing-nodes.ts';
import { readAppliedDatabase, readPlannedMemory } from '../terraform/outputs.ts';
import {
  canonicalizePlan,
  hideSensitive,
  type PlanSummary,
  summarizePlan,
} from '../terraform/plan.ts';
import { parsePlan } from '../terraform/plan-document.ts';
import { writeResult } from './result.ts';

/** A plan and everything that is said about it. */
export interface PlanResult {
  readonly summary: PlanSummary;
  /** SHA-256 (hex) over the normalised changes: equal plans have equal digests, whatever their text. */
  readonly digest: string;
  /** RAM of the instance type in MiB; null where the plan does not tell. */
  readonly memoryMib: number | null;
  /** The nodes as the plan found them. */
  readonly existing: ExistingNodes;
  /** What the nodes were asked to run before; null where nobody knows. */
  readonly applied: AppliedDatabase | null;
  /** Text of the lock file that names the provider which planned; null where none was installed. */
  readonly providerLock: string | null;
  /** Terraform's own wording, sensitive values hidden. */
  readonly text: string;
  /** Path of the binary plan, to be applied as it is. */
  readonly planFile: string;
  /** Path of the plan as JSON. */
  readonly jsonFile: string;
}

/** Plans the generated directory. `publicKey` is used when the directory was generated without one. */
export async function plan(
  terraform: Terraform,
  options: {
    directory: string;
    planFile: string;
    publicKey: string | null;
    lock: boolean;
  },
): Promise<PlanResult> {
  const { planFile, publicKey, lock } = options;
  await terraform.init();
  await terraform.plan(planFile, { publicKey, lock });
  const [json, text] = await Promise.all([
    terraform.showJson(planFile),
    terraform.showText(planFile),
  ]);
  const document: unknown = JSON.parse(json);
  const summary = summarizePlan(document);
  return {
    summary,
    memoryMib: readPlannedMemory(document),
    applied: readAppliedDatabase(document),
    existing: readExistingNodes(parsePlan(document)),
    digest: createHash('sha256').update(canonicalizePlan(summary)).digest('hex'),
    providerLock: await terraform.readProviderLock(),
    text: hideSensitive(text, document),
    planFile,
    jsonFile: await writeResult(options.directory, 'plan', document),
  };
}
