import * as core from '@actions/core';
import { sshAddress } from '../ansible/inventory.ts';
import type { Node } from '../cluster/node.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { UserError } from '../messages/errors.ts';
import {
  type ConfigureResult,
  configure,
  type NodeNote,
  renderConnectionString,
} from '../operations/configure.ts';
import { describeArchiver } from '../report/faults.ts';
import { listLeftOut } from '../report/left-out.ts';
import { listSteps } from '../report/steps.ts';
import type { Operation } from '../runner/intent.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { buildNodeChanges, explainOrphanedVolumes } from '../terraform/node-changes.ts';
import { explainApplyRefusal, permit } from '../terraform/permit.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import {
  ensureDirectory,
  generateDirectory,
  type Job,
  openTerraform,
  planDirectory,
  refuseForeignCluster,
} from './job.ts';
import { LeftOutError } from './left-out-error.ts';
import { buildNodeAccess } from './preview.ts';
import { refreshNodes } from './refresh-nodes.ts';
import { StagedApply } from './staged-apply.ts';

/** Runs one operation alone; its result lies in a file, its path in an output. */
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
      await logGroup('Read the state', () => terraform.init());
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
 * @throws UserError where a node or its data would be lost, which takes a pull request to allow, or where Terraform
 *   alone would stop nodes that PostgreSQL has to leave first
 */
async function applyAlone(job: Job, terraform: Terraform): Promise<void> {
  await refuseForeignCluster(job, terraform);
  const planned = await planDirectory(job, terraform, { lock: true });
  const ground = { kind: 'plan', label: job.inputs.allowDestroyLabel, labels: null } as const;
  const problems = [
    ...refuseOrderedChanges(planned.summary),
    ...explainApplyRefusal(planned.summary, ground),
  ];
  if (problems.length > 0) throw new UserError(problems);
  await new StagedApply(job, {
    terraform,
    permitted: permit(planned, ground),
    digest: planned.digest,
    standing: planned.existing.nodes,
  }).provision();
}

function refuseOrderedChanges(plan: PlanSummary): string[] {
  const { resize, destroy } = buildNodeChanges(plan);
  const turns = [
    ...resize.map(({ node, from, to }) => `${node} would become ${to} instead of ${from}`),
    ...destroy.map((node) => `${node} would be removed`),
    ...explainOrphanedVolumes(plan),
  ];
  if (turns.length === 0) return [];
  return [
    'The operation apply does not look at the databases, and this plan needs them to take turns with Terraform. Merge the change, or run with command: auto.',
    ...turns,
  ];
}

/**
 * Configures the nodes, proves replication and sets the outputs about them. A node that is away is a warning.
 *
 * @throws LeftOutError where a part of the change waits for it; all else was done and proved
 * @throws UserError as `configure` does
 */
export async function configureNodes(
  job: Job,
  options: Parameters<typeof configure>[1],
): Promise<ConfigureResult> {
  const access = buildNodeAccess(job);
  if (!access) throw new UserError('ssh-private-key: missing. Ansible logs in with it.');
  const logSteps = createStepLog(core.info);
  const onSteps = (steps: readonly Step[]) => {
    logSteps(steps);
    options.onSteps?.(steps);
  };
  let notes: readonly NodeNote[] = [];
  // Where no comment and no summary says them, the log does.
  const onNotes = (all: readonly NodeNote[]) => {
    if (options.onNotes) options.onNotes(all);
    else for (const { node, note } of all.slice(notes.length)) core.warning(`${node}: ${note}.`);
    notes = all;
  };
  const work = { ...options, onSteps, onNotes };
  const result = await logGroup('Configure', () => configure(access, work));
  for (const { name, archiver } of result.proof) {
    for (const text of describeArchiver(name, archiver)) core.warning(text);
  }
  setClusterOutputs(result);
  const { leftOut, nodes } = result;
  const sentences = listLeftOut(leftOut, { nodes, states: options.states ?? {} });
  if (leftOut && leftOut.deferred.length > 0) throw new LeftOutError(leftOut, sentences);
  for (const sentence of sentences) core.warning(sentence);
  return result;
}

/** Says what will be done, and again when another look at the nodes changed it. */
function createStepLog(log: (line: string) => void): (steps: readonly Step[]) => void {
  let said: readonly string[] = [];
  return (steps) => {
    const lines = listSteps(steps);
    if (lines.join('\n') === said.join('\n')) return;
    said = lines;
    log(['The steps:', ...lines].join('\n'));
  };
}

function setClusterOutputs({ nodes, primary, proof, inventory }: ConfigureResult): void {
  const hostOf = (node: Node | undefined) => (node ? sshAddress(node) : '');
  core.setOutput('inventory', inventory);
  core.setOutput('primary-host', hostOf(nodes.find(({ name }) => name === primary)));
  core.setOutput(
    'replica-hosts',
    JSON.stringify(nodes.filter(({ name }) => name !== primary).map(hostOf)),
  );
  core.setOutput('connection-string', renderConnectionString(nodes));
  core.setOutput('cluster-status', JSON.stringify(proof));
}
