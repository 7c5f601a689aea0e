import { parseRate } from '../cluster/spec.ts';
import { completeBackend, type ParsedBackend } from './backend.ts';
import { buildBackup } from './backup-inputs.ts';
import type { ClusterKey } from './cluster-schema.ts';
import { type Description, readValue } from './description.ts';
import type { Inputs } from './inputs.ts';
import { chooseSshVia } from './network-inputs.ts';
import { readSettings } from './settings-input.ts';
import type { RawInputs } from './step-inputs.ts';

/**
 * Builds the inputs from a description without problems. `path` is the cluster file's, or null; with `blank` an empty
 * state replaces the backend; `isRestoreNew`: as in the result.
 */
export function buildInputs(
  description: Description,
  {
    call,
    path,
    blank,
    isRestoreNew,
  }: { call: RawInputs; path: string | null; blank: boolean; isRestoreNew: boolean },
): Inputs {
  const read = <Key extends ClusterKey>(key: Key) => {
    const value = readValue(description, key);
    if (value === null) throw new Error(`${key} has neither a value nor a default.`);
    return value;
  };
  const secret = (input: string) => call[input] ?? '';
  const name = read('cluster_name');
  const replicaCount = read('replica_count');
  const type = readValue(description, 'backend') ?? 'local';
  const { config } = (description.get('backend_config')?.value ?? { config: {} }) as ParsedBackend;
  return {
    clusterFile: path,
    spec: {
      name,
      region: read('region'),
      instanceType: read('instance_type'),
      replicaCount,
      image: read('image'),
      imageTag: read('image_tag'),
      primary: readValue(description, 'primary') || null,
      synchronousReplicas: read('synchronous_replicas'),
      settings: readSettings(description).settings,
      ssh: {
        via: chooseSshVia(description),
        endpointId: readValue(description, 'instance_connect_endpoint_id'),
        address: readValue(description, 'ssh_address'),
      },
      sshCidrs: readValue(description, 'ssh_cidrs') ?? [],
      clientCidrs: readValue(description, 'client_cidrs') ?? [],
      subnetIds: readValue(description, 'subnet_ids') ?? [],
      instanceProfile: readValue(description, 'instance_profile'),
      network: {
        internetVia: read('internet_via'),
        avoidZones: readValue(description, 'avoid_zones') ?? [],
        dnsZoneId: readValue(description, 'dns_zone_id'),
      },
      vpcCidr: read('vpc_cidr'),
      tags: readValue(description, 'tags') ?? {},
      storage: {
        dataGib: read('data_volume_size'),
        iops: readValue(description, 'data_volume_iops'),
        throughput: readValue(description, 'data_volume_throughput'),
        rootGib: read('root_volume_size'),
        kmsKey: readValue(description, 'kms_key_id'),
      },
      clone: {
        from: read('clone_from'),
        maxRate: parseRate(readValue(description, 'clone_max_rate') ?? ''),
      },
      ...buildBackup(description),
      rehearsal: null,
    },
    isRestoreNew,
    backend: blank ? null : { type, config: completeBackend(type, config) },
    workingDirectory: chooseDirectory(readValue(description, 'working_directory') ?? '', name),
    secrets: {
      postgresPassword: secret('postgres-password'),
      replicationPassword: secret('replication-password'),
      registryUsername: call['registry-username'] ?? '',
      registryPassword: secret('registry-password'),
      sshPrivateKey: secret('ssh-private-key'),
      reviewKey: secret('review-key'),
      backupCipherKey: secret('backup-cipher-key'),
      restoreCipherKey: secret('restore-cipher-key'),
    },
    sshUser: read('ssh_user'),
    sshPublicKey: readValue(description, 'ssh_public_key'),
    fenced: call.fenced || null,
    replace: call.replace || null,
    replaceVolume: call['replace-volume'] === 'true',
    discard: call.discard || null,
    discardData: call['discard-data'] === 'true',
    backupType: call['backup-type'] === 'full' ? 'full' : 'incremental',
    destroy: call.destroy || null,
    githubToken: secret('github-token'),
    allowDestroyLabel: read('allow_destroy_label') || null,
    allowCollationLabel: read('allow_collation_label') || null,
    allowSlotLossLabel: read('allow_slot_loss_label') || null,
    allowPlanLabel: read('allow_plan_label') || null,
    labelPrefix: readValue(description, 'label_prefix') || null,
    onPlanChange: read('on_plan_change'),
    comment: read('comment'),
    terraformBinary: readValue(description, 'terraform_binary') || null,
    storageAlertPercent: read('storage_alert_percent'),
    waitMinutes: read('wait_minutes'),
  };
}

/** Returns the given working directory, or one named after the cluster, so clusters of a repository do not share one. */
export function chooseDirectory(given: string, cluster: string): string {
  return given || `.postgres-cluster/${cluster}`;
}
