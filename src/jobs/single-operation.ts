import { UserError } from '../messages/errors.ts';
import type { PlanResult } from '../operations/plan.ts';
import type { Operation } from '../runner/intent.ts';
import type { Terraform } from '../terraform/cli.ts';
import { explainOrphanedVolumes } from '../terraform/node-changes.ts';
import { explainApplyRefusal, permit } from '../terraform/permit.ts';
import { configureNodes } from './configure-nodes.ts';
import type { Job } from './job.ts';
import { refuseUnseenRole } from './losses.ts';
import { openTerraform, readTerraformState } from './open-terraform.ts';
import { planDirectory, planOwnCluster } from './plan-cluster.ts';
import { refreshNodes } from './refresh-nodes.ts';
import { StagedApply } from './staged-apply.ts';
import { ensureDirectory, generateDirectory } from './terraform-directory.ts';
import { checkVolumes } from './volume-check.ts';

/** Runs one operation on its own; the result is a file, its path an output. */
export async function runOperation(job: Job, operation: Operation): Promise<void> {
  if (operation === 'generate') return generateDirectory(job);
  await ensureDirectory(job);
  const { terraform } = await openTerraform(job);
  switch (operation) {
    case 'plan':
      await planDirectory(job, terraform, { lock: false });
      return;
    case 'apply':
      return applyAlone(job, terraform);
    case 'configure': {
      await readTerraformState(terraform);
      await configureNodes(job, {
        ...(await refreshNodes(job, terraform)),
        instanceType: null,
        memoryMib: null,
        infrastructure: null,
      });
      return;
    }
  }
}

/**
 * Applies the whole plan.
 *
 * @throws UserError if the plan would lose a node or its data, which only a pull request can allow, or would stop nodes
 *   that PostgreSQL has to leave first
 */
async function applyAlone(job: Job, terraform: Terraform): Promise<void> {
  const planned = await planOwnCluster(job, terraform, { lock: true });
  const ground = { kind: 'plan', label: job.inputs.allowDestroyLabel, labels: null } as const;
  const problems = [
    ...refuseOrderedChanges(planned),
    ...explainApplyRefusal(planned.summary, ground),
    ...refuseUnseenRole(planned.summary, {
      notObserved: 'The operation apply does not look at the databases: merge the change instead.',
      permission: { input: 'allow-destroy-label', label: ground.label, labels: null },
    }),
    ...(await checkVolumes(job, planned)).refusals,
  ];
  if (problems.length > 0) throw new UserError(problems);
  await new StagedApply(job, {
    terraform,
    permitted: permit(planned, ground),
    digest: planned.digest,
    outputs: planned.outputs,
    existing: planned.existing.nodes,
  }).provision();
}

/** Refuses changes that need the databases between two applies. */
function refuseOrderedChanges({ summary, nodeChanges }: PlanResult): string[] {
  const { resize, destroy } = nodeChanges;
  const ordered = [
    ...resize.map(({ node, from, to }) => `${node} would become ${to} instead of ${from}`),
    ...destroy.map((node) => `${node} would be removed`),
    ...explainOrphanedVolumes(summary),
  ];
  if (ordered.length === 0) return [];
  return [
    'The operation apply does not look at the databases, and this plan needs them to take turns with Terraform. Merge the change, or run with command: auto.',
    ...ordered,
  ];
}
