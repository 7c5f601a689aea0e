import type { ClusterSpec } from '../cluster/spec.ts';
import type { BackendConfig } from './backend.ts';

/** Everything the workflow gave, typed and checked. */
export interface Inputs {
  /** Path of the file that describes the cluster; null: the inputs do. */
  readonly clusterFile: string | null;
  readonly spec: ClusterSpec;
  /** Null: an empty state stands for it, since no trusted place says where it is. */
  readonly backend: Backend | null;
  /** As given: relative to the workspace or absolute. */
  readonly workingDirectory: string;
  readonly secrets: Secrets;
  readonly sshUser: string;
  /** Public half of the key that nodes get; null: that of the private key. */
  readonly sshPublicKey: string | null;
  /**
   * For a failover: the node of which a person says that it is down and stays down; null: the action sees to
   * it itself.
   */
  readonly fenced: string | null;
  /** For a replacement: the node that gets another instance; null: none was named. */
  readonly replace: string | null;
  /** For a replacement: whether the node's data volume is replaced by a blank one as well. */
  readonly replaceVolume: boolean;
  readonly githubToken: string;
  /** The label of a pull request that may destroy or replace nodes with data; null: none may. */
  readonly allowDestroyLabel: string | null;
  /** The label of a pull request that may bring an image which sorts text in another order; null: none may. */
  readonly allowCollationLabel: string | null;
  /** The label of a pull request whose merge may lose logical replication slots; null: none may. */
  readonly allowSlotLossLabel: string | null;
  /** The label by which the plan of a fork's pull request is asked for; null: none is made. */
  readonly allowPlanLabel: string | null;
  /** What the names of the labels begin with that say what a merge would do; null: none are set. */
  readonly labelPrefix: string | null;
  /** What a merge does where its plan is not the one that was reviewed. */
  readonly onPlanChange: 'fail' | 'apply';
  /** Whether the cluster has a comment of its own or a section of one for all. */
  readonly comment: 'own' | 'shared';
  /** Name or path of Terraform's or OpenTofu's program; null: whichever there is. */
  readonly terraformBinary: string | null;
}

/** Where Terraform keeps its state. */
export interface Backend {
  /** `local`, `s3`, `gcs`, … */
  readonly type: string;
  readonly config: BackendConfig;
}

/** Never written anywhere but to files only the runner's user can read. */
export interface Secrets {
  readonly postgresPassword: string;
  readonly replicationPassword: string;
  /** With the password, the login to the registry that `image` names; empty: none. No secret by itself. */
  readonly registryUsername: string;
  readonly registryPassword: string;
  /** One private key, or several: the first is in use, the rest are being rotated out. */
  readonly sshPrivateKey: string;
  /** Signs what was reviewed; empty: not signed. */
  readonly reviewKey: string;
}
