import type { BackupType } from '../cluster/backup.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import type { BackendConfig } from './backend.ts';

/** All inputs, typed and checked. */
export interface Inputs {
  /** Path of the file that describes the cluster; null if the inputs do. */
  readonly clusterFile: string | null;
  readonly spec: ClusterSpec;
  /**
   * Whether the file asks for `restore` and the one before it did not, or for another one; false where there is no file to
   * compare with.
   */
  readonly isRestoreNew: boolean;
  /** Null if no trusted source names it, so that the plan starts from an empty state. */
  readonly backend: Backend | null;
  /** Relative to the workspace, or absolute. */
  readonly workingDirectory: string;
  readonly secrets: Secrets;
  readonly sshUser: string;
  /** The public key for the nodes; null for the public half of the private key. */
  readonly sshPublicKey: string | null;
  /**
   * For a failover: the node that a person declares permanently down; null if the action fences the primary itself.
   */
  readonly fenced: string | null;
  /** For a replacement: the node that gets a new instance; null if none is named. */
  readonly replace: string | null;
  /** For a replacement: whether a blank data volume replaces the node's as well. */
  readonly replaceVolume: boolean;
  /** For `command: discard`: the node whose kept data directories are deleted; null if none is named. */
  readonly discard: string | null;
  /** For `command: discard`: whether the data of that node, which cannot follow the primary, is deleted as well. */
  readonly discardData: boolean;
  /** For `command: backup`: what is copied. */
  readonly backupType: BackupType;
  /** For `command: destroy`: the name of the cluster, as confirmation; null if none is given. */
  readonly destroy: string | null;
  readonly githubToken: string;
  /** Label of pull requests that may destroy or replace nodes with data; null if none may. */
  readonly allowDestroyLabel: string | null;
  /** Label of pull requests that may change the collation of text by a new image; null if none may. */
  readonly allowCollationLabel: string | null;
  /** Label of pull requests whose merge may lose logical replication slots; null if none may. */
  readonly allowSlotLossLabel: string | null;
  /** Label that requests the plan of a fork's pull request; null if such plans are not made. */
  readonly allowPlanLabel: string | null;
  /** Prefix of the labels that show the effects of a merge; null if no labels are set. */
  readonly labelPrefix: string | null;
  /** What a merge does if its plan differs from the reviewed one. */
  readonly onPlanChange: 'fail' | 'apply';
  /** Whether the cluster has its own comment or a section of a shared one. */
  readonly comment: 'own' | 'shared';
  /** Use of a data volume, in percent of its capacity, from which drift is reported. */
  readonly storageAlertPercent: number;
  /** How long a run may wait for copies of data before it ends and leaves them running, in minutes. */
  readonly waitMinutes: number;
  /** Name or path of Terraform or OpenTofu; null to use the one that is installed. */
  readonly terraformBinary: string | null;
}

/** Where Terraform keeps its state. */
export interface Backend {
  /** `local`, `s3`, `gcs`, … */
  readonly type: string;
  readonly config: BackendConfig;
}

/** Secrets. They are written only to files that only the runner's user can read. */
export interface Secrets {
  readonly postgresPassword: string;
  readonly replicationPassword: string;
  /** User name for the registry of `image`; empty for no login. Not a secret by itself. */
  readonly registryUsername: string;
  readonly registryPassword: string;
  /** One or more private keys: the first is in use, the others are being rotated out. */
  readonly sshPrivateKey: string;
  /** Signs reviews; empty for no signature. */
  readonly reviewKey: string;
  /** Encrypts the backups of a cluster with `backup.cipher`. */
  readonly backupCipherKey: string;
  /** Decrypts the source of a restore; empty if that is `backupCipherKey`. */
  readonly restoreCipherKey: string;
}
