import { type DesiredCluster, renderFiles } from '../cluster/desired.ts';
import type { Step } from '../cluster/rollout.ts';
import type { Secrets } from '../request.ts';
import type { PublicKeys } from '../ssh-key.ts';

/** What the playbooks are told besides the inventory. Passwords are in it: it is only ever written 0600. */
export function renderVariables(options: {
  desired: DesiredCluster;
  secrets: Pick<Secrets, 'postgresPassword' | 'replicationPassword'>;
  keys: PublicKeys;
  /** Without a token nothing is proved. */
  rollout?: { primary: string; steps: readonly Step[]; proofToken: string | null };
}): string {
  const { desired, secrets, keys, rollout } = options;
  return JSON.stringify({
    cluster_name: desired.name,
    cluster_image: desired.image,
    cluster_authorized_key: keys.current,
    cluster_retired_keys: keys.retired,
    cluster_superuser_secret: encode(secrets.postgresPassword),
    cluster_replication_secret: encode(secrets.replicationPassword),
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
  const files = step.nodes.map((node) => {
    const { postgresqlConf, pgHba } = renderFiles(desired, { node, primary, settings });
    return [node, { postgresqlConf: encode(postgresqlConf), pgHba: encode(pgHba) }];
  });
  return { ...rest, files: Object.fromEntries(files) };
}

/** Free text as base64: Ansible reads `{{ … }}` in any variable as a template, whoever wrote it. */
function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
