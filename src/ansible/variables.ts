import { type DesiredCluster, renderFiles } from '../cluster/desired.ts';
import type { Step } from '../cluster/rollout.ts';
import type { Secrets } from '../request.ts';
import type { PublicKeys } from '../ssh-key.ts';

/** What the playbooks are told besides the inventory. Passwords are in it: it is only ever written 0600. */
export function renderVariables(options: {
  desired: DesiredCluster;
  secrets: Pick<Secrets, 'postgresPassword' | 'replicationPassword'>;
  keys: PublicKeys;
  rollout?: { primary: string; steps: readonly Step[]; proofToken: string };
}): string {
  const { desired, secrets, keys, rollout } = options;
  return JSON.stringify({
    cluster_name: desired.name,
    cluster_image: desired.image,
    cluster_authorized_key: keys.current,
    cluster_retired_keys: keys.retired,
    cluster_superuser_password: secrets.postgresPassword,
    cluster_replication_password: secrets.replicationPassword,
    ...(rollout && {
      cluster_primary: rollout.primary,
      cluster_proof_token: rollout.proofToken,
      cluster_steps: rollout.steps.map((step) => renderStep(step, desired, rollout.primary)),
    }),
  });
}

/** A step with the files its nodes shall have, so that the playbooks decide nothing. */
function renderStep(step: Step, desired: DesiredCluster, primary: string): unknown {
  if (step.kind === 'prepare') return step;
  const { settings, ...rest } = step;
  const files = step.nodes.map((node) => [node, renderFiles(desired, { node, primary, settings })]);
  return { ...rest, files: Object.fromEntries(files) };
}
