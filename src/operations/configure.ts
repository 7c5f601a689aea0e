import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ansible, checkAnsible } from '../ansible/cli.ts';
import { renderInventory, sshAddress } from '../ansible/inventory.ts';
import type { AnsibleResult } from '../ansible/result.ts';
import { renderVariables } from '../ansible/variables.ts';
import type { Node } from '../cluster/configuration.ts';
import type { DesiredCluster } from '../cluster/desired.ts';
import { findProofProblems, type NodeProof } from '../cluster/proof.ts';
import { rollout, type Step } from '../cluster/rollout.ts';
import { imageReference } from '../cluster/spec.ts';
import { UserError } from '../errors.ts';
import type { Request, Secrets } from '../request.ts';
import { type PublicKeys, splitKeys } from '../ssh-key.ts';
import { writeSecretFile } from '../workspace.ts';
import { writeResult } from './result.ts';

/** What was done and what was proved. */
export interface ConfigureResult {
  readonly primary: string;
  readonly steps: readonly Step[];
  /** Tasks that changed something, by node and step. */
  readonly changes: readonly {
    readonly node: string;
    readonly step: string;
    readonly task: string;
  }[];
  readonly proof: readonly NodeProof[];
  readonly nodes: readonly Node[];
  /** Paths. */
  readonly inventory: string;
  readonly jsonFile: string;
}

/** What is told while it happens, so that it is known even if the end is a failure. */
export interface ConfigureListeners {
  readonly onSteps?: (steps: readonly Step[]) => void;
  readonly onProof?: (proof: readonly NodeProof[]) => void;
}

/**
 * Brings the nodes to the state the request asks for and proves that replication works.
 *
 * Two looks at the cluster and one change between them: observe, decide (`rollout`), do, prove.
 *
 * @throws UserError with every refusal, every failure by node, or everything the proof found missing
 */
export async function configure(
  request: Request,
  options: {
    nodes: readonly Node[];
    keys: PublicKeys;
    directory: string;
    temporary: string;
    playbooks: string;
    log: (line: string) => void;
  } & ConfigureListeners,
): Promise<ConfigureResult> {
  const { nodes, keys, directory, temporary, log } = options;
  const { spec, secrets } = request;
  checkNodeCount(nodes, request);
  const inventory = join(directory, 'inventory.ini');
  await Promise.all([
    checkAnsible(),
    writeInventory(inventory, { request, nodes, directory, temporary }),
  ]);

  const desired: DesiredCluster = {
    name: spec.name,
    nodes,
    image: imageReference(spec),
    settings: spec.settings,
    clientCidrs: spec.clientCidrs,
  };
  const ansible = new Ansible({ playbooks: options.playbooks, inventory, temporary, log });
  let outcome: Outcome;
  try {
    outcome = await converge(ansible, { desired, secrets, keys, onSteps: options.onSteps });
  } finally {
    await ansible.close();
  }
  const { primary, steps, report } = outcome;
  const { changes, proof } = report;
  options.onProof?.(proof);
  log(
    `${changes.length} ${changes.length === 1 ? 'task' : 'tasks'} changed something on the nodes`,
  );
  const result = { primary, steps, changes, proof, nodes };
  const jsonFile = await writeResult(directory, 'configure', result);
  const problems = findProofProblems(
    proof,
    nodes.map(({ name }) => name),
  );
  if (problems.length > 0) {
    throw new UserError(problems.map((problem) => `Replication is not proved. ${problem}`));
  }
  return { ...result, inventory, jsonFile };
}

interface Outcome {
  readonly primary: string;
  readonly steps: readonly Step[];
  readonly report: AnsibleResult;
}

/** Observes, decides, does and proves. */
async function converge(
  ansible: Ansible,
  options: {
    desired: DesiredCluster;
    secrets: Secrets;
    keys: PublicKeys;
    onSteps: ((steps: readonly Step[]) => void) | undefined;
  },
): Promise<Outcome> {
  const { desired, secrets, keys, onSteps } = options;
  const observe = async () => {
    const report = await ansible.run('observe.yml', renderVariables({ desired, secrets, keys }));
    const decision = rollout(report.observations, desired);
    if (!('steps' in decision)) throw new UserError(decision.refusals);
    return decision;
  };
  const perform = (
    { primary, steps }: { primary: string; steps: readonly Step[] },
    proofToken: string | null,
  ) => {
    const work = { primary, steps, proofToken };
    return ansible.run('site.yml', renderVariables({ desired, secrets, keys, rollout: work }));
  };

  let decision = await observe();
  if (decision.observeAgain) {
    await perform(decision, null);
    decision = await observe();
  }
  const { primary, steps } = decision;
  onSteps?.(steps);
  return { primary, steps, report: await perform(decision, randomUUID()) };
}

function checkNodeCount(nodes: readonly Node[], { spec }: Request): void {
  const wanted = spec.replicaCount + 1;
  if (nodes.length === wanted) return;
  throw new UserError(
    `replica-count: ${spec.replicaCount} asks for ${wanted} nodes, Terraform's state has ${nodes.length}. Run apply first, or give replica-count ${nodes.length - 1}.`,
  );
}

async function writeInventory(
  path: string,
  options: { request: Request; nodes: readonly Node[]; directory: string; temporary: string },
): Promise<void> {
  const { request, nodes, directory, temporary } = options;
  const privateKeyFiles = await Promise.all(
    splitKeys(request.secrets.sshPrivateKey).map(async (key, index) => {
      const file = join(temporary, `ssh-key-${index + 1}`);
      await writeSecretFile(file, key);
      return file;
    }),
  );
  await writeFile(
    path,
    renderInventory(nodes, {
      sshUser: request.sshUser,
      privateKeyFiles,
      knownHostsFile: join(directory, 'known_hosts'),
    }),
  );
}

/**
 * libpq's connection string over all nodes (PostgreSQL manual, 34.1.1): whichever is primary is found by
 * the client. The password is not in it.
 */
export function renderConnectionString(nodes: readonly Node[]): string {
  const hosts = nodes.map((node) => `${sshAddress(node)}:5432`).join(',');
  return `postgresql://postgres@${hosts}/postgres?target_session_attrs=read-write`;
}
