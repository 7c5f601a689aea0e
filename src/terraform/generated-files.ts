import { type ClusterSpec, imageReference } from '../cluster/spec.ts';
import type { Backend } from '../inputs/inputs.ts';

/** The values; with the backend's the only file that is generated. The rest of the directory is static. */
export const TFVARS_FILE = 'terraform.tfvars.json';
/** The backend block. */
export const BACKEND_FILE = 'backend.tf.json';

/**
 * `terraform.tfvars.json` of a cluster. `sshPublicKey` is one line in OpenSSH's format; without it
 * Terraform asks for the variable, which `plan` supplies. What a stage of a change decides is not in it
 * either: a file's value would win over the one the stage is planned with.
 */
export function renderTfvars(spec: ClusterSpec, sshPublicKey: string | null): string {
  return renderJson({
    cluster_name: spec.name,
    region: spec.region,
    instance_type: spec.instanceType,
    replica_count: spec.replicaCount,
    ssh_cidrs: spec.sshCidrs,
    client_cidrs: spec.clientCidrs,
    subnet_ids: spec.subnetIds,
    ...(spec.instanceProfile !== null && { instance_profile: spec.instanceProfile }),
    database: {
      image: imageReference(spec),
      settings: spec.settings,
      primary: spec.primary,
      synchronous_replicas: spec.synchronousReplicas,
    },
    ...(sshPublicKey !== null && { ssh_public_key: sshPublicKey }),
  });
}

/** `terraform.tfvars.json` of the directory that stops one instance. */
export function renderHaltTfvars(options: { region: string; instanceId: string }): string {
  return renderJson({ region: options.region, instance_id: options.instanceId });
}

/** The backend block in Terraform's JSON syntax. */
export function renderBackend(backend: Backend): string {
  return renderJson({ terraform: { backend: { [backend.type]: backend.config } } });
}

function renderJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * Terraform's command-line configuration (Terraform's documentation, "CLI configuration"): only the provider that the
 * templates name is installed, and only from its registry. A state that names another provider installs nothing.
 */
export function renderCliConfig(): string {
  const sources = ['registry.terraform.io', 'registry.opentofu.org'].map(
    (host) => `      "${host}/hashicorp/aws",`,
  );
  return [
    'disable_checkpoint = true',
    'provider_installation {',
    '  direct {',
    '    include = [',
    ...sources,
    '    ]',
    '  }',
    '}',
    '',
  ].join('\n');
}
