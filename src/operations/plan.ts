import { createHash } from 'node:crypto';
import type { AppliedDatabase } from '../cluster/settings/change.ts';
import type { NodeVolume } from '../cluster/volume.ts';
import type { Terraform } from '../terraform/cli.ts';
import { listVolumes } from '../terraform/cluster-volumes.ts';
import { type ExistingNodes, readExistingNodes } from '../terraform/existing-nodes.ts';
import { buildNodeChanges, type NodeChanges } from '../terraform/node-changes.ts';
import {
  readAppliedDatabase,
  readPlannedMemory,
  readPlannedOutputs,
  readStateBefore,
  type TerraformState,
} from '../terraform/outputs.ts';
import {
  canonicalizePlan,
  hideSensitive,
  type PlanSummary,
  summarizePlan,
} from '../terraform/plan.ts';
import { parsePlan } from '../terraform/plan-document.ts';
import { readPlannedVpc } from '../terraform/planned-vpc.ts';
import { writeResult } from './result.ts';

/** A plan and what was derived from it. */
export interface PlanResult {
  readonly summary: PlanSummary;
  /** What the plan does to the nodes. */
  readonly nodeChanges: NodeChanges;
  /** SHA-256 (hex) over the normalised changes: equal plans have equal digests, whatever their text. */
  readonly digest: string;
  /** RAM of the instance type in MiB; null if the plan does not contain it. */
  readonly memoryMib: number | null;
  /** The nodes as the plan's refresh found them. */
  readonly existing: ExistingNodes;
  /** The cluster in the state, before the plan; null before the first apply and after a destroy. */
  readonly state: TerraformState | null;
  /** Terraform's outputs after an apply, as `terraform output -json` prints them; unknown ones are missing. */
  readonly outputs: unknown;
  /** The VPC of the nodes after the plan; null if the plan makes it. */
  readonly vpcId: string | null;
  /** The volumes of these nodes. */
  readonly volumes: readonly NodeVolume[];
  /** What the last apply asked the nodes to run; null if unknown. */
  readonly applied: AppliedDatabase | null;
  /** Text of the lock file with the provider that planned; null if no provider was installed. */
  readonly providerLock: string | null;
  /** Terraform's text, sensitive values hidden. */
  readonly text: string;
  /** Path of the binary plan for `apply`. */
  readonly planFile: string;
  /** Path of the plan as JSON. */
  readonly jsonFile: string;
}

/** Plans the generated directory. `publicKey` is used if the directory was generated without one. */
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
  // With the real provider, each command that reads a plan file takes seconds, as it starts the provider.
  const printed = await terraform.plan(planFile, { publicKey, lock });
  const json = await terraform.showJson(planFile);
  const text = printed ?? (await terraform.showText(planFile));
  const document: unknown = JSON.parse(json);
  const summary = summarizePlan(document);
  return {
    summary,
    nodeChanges: buildNodeChanges(summary),
    memoryMib: readPlannedMemory(document),
    applied: readAppliedDatabase(document),
    existing: readExistingNodes(parsePlan(document)),
    state: readStateBefore(document),
    outputs: readPlannedOutputs(document),
    vpcId: readPlannedVpc(parsePlan(document)),
    volumes: listVolumes(parsePlan(document)),
    digest: createHash('sha256').update(canonicalizePlan(summary)).digest('hex'),
    providerLock: await terraform.readProviderLock(),
    text: hideSensitive(text, document),
    planFile,
    jsonFile: await writeResult(options.directory, 'plan', document),
  };
}
