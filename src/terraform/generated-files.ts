import { nameOriginal } from '../cluster/rehearsal.ts';
import { type ClusterSpec, imageReference } from '../cluster/spec.ts';
import type { Backend } from '../inputs/inputs.ts';

/** The values of the variables. This file and the backend's are generated; the others are static. */
export const TFVARS_FILE = 'terraform.tfvars.json';
/** The backend block. */
export const BACKEND_FILE = 'backend.tf.json';

/**
 * Renders `terraform.tfvars.json` of a cluster. `sshPublicKey` is one line in OpenSSH's format; if null, `plan` supplies
 * the variable. The variables of a stage are not in the file, because its values would override the stage's.
 */
export function renderTfvars(spec: ClusterSpec, sshPublicKey: string | null): string {
  return renderJson({
    cluster_name: spec.name,
    region: spec.region,
    instance_type: spec.instanceType,
    replica_count: spec.replicaCount,
    ssh_via: spec.ssh.via,
    ...(spec.ssh.endpointId !== null && { instance_connect_endpoint_id: spec.ssh.endpointId }),
    ssh_cidrs: spec.sshCidrs,
    client_cidrs: spec.clientCidrs,
    subnet_ids: spec.subnetIds,
    vpc_cidr: spec.vpcCidr,
    internet_via: spec.network.internetVia,
    avoid_zones: spec.network.avoidZones,
    ...(spec.network.dnsZoneId !== null && { dns_zone_id: spec.network.dnsZoneId }),
    tags: spec.tags,
    data_volume_size: spec.storage.dataGib,
    ...(spec.storage.iops !== null && { data_volume_iops: spec.storage.iops }),
    ...(spec.storage.throughput !== null && { data_volume_throughput: spec.storage.throughput }),
    root_volume_size: spec.storage.rootGib,
    ...(spec.storage.kmsKey !== null && { kms_key_id: spec.storage.kmsKey }),
    ...(spec.instanceProfile !== null && { instance_profile: spec.instanceProfile }),
    ...(spec.backup !== null && {
      backup: {
        bucket: spec.backup.bucket,
        prefix: spec.backup.prefix,
        kms_key_id: spec.backup.kmsKey,
        permissions_boundary: spec.backup.permissionsBoundary,
      },
    }),
    ...(spec.restore !== null && {
      restore_from: {
        bucket: spec.restore.from.bucket,
        prefix: spec.restore.from.prefix,
        cluster: spec.restore.from.cluster,
        kms_key_id: spec.restore.from.kmsKey,
        permissions_boundary: spec.restore.from.permissionsBoundary,
      },
    }),
    // Only what nobody will miss leaves no snapshot. A removal relies on it and on the tag (see permit.ts).
    ...(spec.rehearsal !== null && {
      final_snapshot: false,
      rehearsal_of: nameOriginal(spec.name),
    }),
    ...(spec.snapshots !== null && {
      snapshots: {
        keep: spec.snapshots.keep,
        time: spec.snapshots.time,
        permissions_boundary: spec.snapshots.permissionsBoundary,
      },
    }),
    database: {
      image: imageReference(spec),
      settings: spec.settings,
      primary: spec.primary,
      synchronous_replicas: spec.synchronousReplicas,
    },
    ...(sshPublicKey !== null && { ssh_public_key: sshPublicKey }),
  });
}

/** Renders `terraform.tfvars.json` of the directory that stops one instance. */
export function renderHaltTfvars(options: { region: string; instanceId: string }): string {
  return renderJson({ region: options.region, instance_id: options.instanceId });
}

/** Renders the backend block in Terraform's JSON syntax. */
export function renderBackend(backend: Backend): string {
  return renderJson({ terraform: { backend: { [backend.type]: backend.config } } });
}

function renderJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * Renders Terraform's CLI configuration (Terraform's documentation, "CLI configuration"). It allows the templates'
 * provider alone, from its registry, so a state that names another provider installs nothing.
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
