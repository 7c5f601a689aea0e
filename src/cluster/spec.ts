import type { BackupSpec, RestoreSpec } from './backup.ts';
import type { Canary } from './rehearsal.ts';
import type { Settings } from './settings/settings.ts';
import type { SnapshotSpec } from './snapshots.ts';

/** The validated description of the requested cluster. */
export interface ClusterSpec {
  /** Prefix of every resource; `^[a-z][a-z0-9-]*$`, at most 40 characters. */
  readonly name: string;
  /** AWS region, e.g. `us-east-1`. */
  readonly region: string;
  /** EC2 instance type of every node, e.g. `t3.medium`. */
  readonly instanceType: string;
  /** Replicas beside the one primary: 2 means three nodes. */
  readonly replicaCount: number;
  /** The node to make primary, e.g. `node-2`; null: any. */
  readonly primary: string | null;
  /** Replicas that must have a commit before it is acknowledged, at most `replicaCount`; 0: asynchronous. */
  readonly synchronousReplicas: number;
  /** Image repository without tag, e.g. `postgres` or `ghcr.io/acme/postgres`. */
  readonly image: string;
  /** Image tag, e.g. `17` or `17.6-bookworm`, with or without a digest: `17@sha256:…`. */
  readonly imageTag: string;
  /** PostgreSQL settings of the team; the others have a managed default or PostgreSQL's own. */
  readonly settings: Settings;
  readonly ssh: SshSpec;
  /** Networks that may reach port 22 of the nodes. */
  readonly sshCidrs: readonly string[];
  /** Networks that may reach port 5432 of the nodes. */
  readonly clientCidrs: readonly string[];
  /** Existing subnets; empty means a VPC of the cluster's own. */
  readonly subnetIds: readonly string[];
  /** Name of the IAM instance profile that the nodes get; null: whichever they have. */
  readonly instanceProfile: string | null;
  readonly network: NetworkSpec;
  /** Network of the cluster's own VPC, e.g. `10.42.0.0/16`; without effect if there are `subnetIds`. */
  readonly vpcCidr: string;
  /** Additional tags of every resource, by key. */
  readonly tags: Readonly<Record<string, string>>;
  readonly storage: StorageSpec;
  readonly clone: CloneSpec;
  /** Null: no backups. */
  readonly backup: BackupSpec | null;
  /** What a cluster without data begins with; null: an empty database. */
  readonly restore: RestoreSpec | null;
  /** What the restore must have brought back: the cluster is a rehearsal, and lasts no longer. Null for every other. */
  readonly rehearsal: Canary | null;
  /** Null: no snapshots, except the last one of a volume that is destroyed. */
  readonly snapshots: SnapshotSpec | null;
}

/** How the runner reaches SSH on the nodes. */
export interface SshSpec {
  /** Through an EC2 Instance Connect Endpoint of the VPC, or over the network. */
  readonly via: 'instance-connect-endpoint' | 'direct';
  /** An existing endpoint, e.g. `eice-0a1b2c3d4e5f60718`; null: the cluster has its own. */
  readonly endpointId: string | null;
  /** The address to connect to directly; null: the public one, if there is one. An endpoint uses the private one. */
  readonly address: 'private' | 'public' | null;
}

/** Where nodes are placed, how they reach the internet, and their names. */
export interface NetworkSpec {
  /** How nodes in the cluster's own VPC reach packages and images; without effect if there are `subnetIds`. */
  readonly internetVia: 'public-addresses' | 'nat-gateway';
  /** Zones in which no new node is placed, e.g. `us-east-1e`. */
  readonly avoidZones: readonly string[];
  /** Id of the private Route 53 zone with a name for each node; null: no names. */
  readonly dnsZoneId: string | null;
}

/** A GiB in bytes. */
export const GIB = 1024 ** 3;

/** The volumes of every node. EBS grows them in place and never shrinks them. */
export interface StorageSpec {
  /** Size of the data volume in GiB. */
  readonly dataGib: number;
  /** Null: gp3's 3,000 for a new volume; an existing one keeps its own. */
  readonly iops: number | null;
  /** MiB per second; null: gp3's 125 for a new volume; an existing one keeps its own. */
  readonly throughput: number | null;
  /** Size of the root volume in GiB. */
  readonly rootGib: number;
  /** ARN of the KMS key of new volumes; null: the account's default key. */
  readonly kmsKey: string | null;
}

/** How a node's data is copied to another node. */
export interface CloneSpec {
  readonly from: 'primary' | 'replica';
  /** The most that the source sends, in kB (1,024 bytes) per second; null: no limit. */
  readonly maxRate: number | null;
}

/** Reads a rate per second, e.g. `50MB`, in kB (1,024 bytes); null if it is none that pg_basebackup accepts. */
export function parseRate(text: string): number | null {
  const [, digits = '', unit = ''] = /^([1-9]\d{0,6})(kB|MB|GB)$/.exec(text) ?? [];
  const rate = Number(digits) * 1024 ** ['kB', 'MB', 'GB'].indexOf(unit);
  return rate >= 32 && rate <= 1024 ** 2 ? rate : null;
}

/** A tag, with or without a digest (OCI distribution specification, "pulling manifests"). */
export const IMAGE_TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(?:@sha256:[0-9a-f]{64})?$/;

/** An image reference in parts, `postgres:17@sha256:…`. */
export interface ImageParts {
  /** With the registry, e.g. `registry.example:5000/db/postgres`. */
  readonly repository: string;
  /** Empty without one. */
  readonly tag: string;
  /** `sha256:…`; null: whatever the tag resolves to. */
  readonly digest: string | null;
}

/** Splits an image reference. */
export function splitReference(reference: string): ImageParts {
  const [named = '', digest = null] = reference.split('@');
  // A colon before the last slash belongs to a registry's port.
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  return colon === -1
    ? { repository: named, tag: '', digest }
    : { repository: named.slice(0, colon), tag: named.slice(colon + 1), digest };
}

/** Returns the requested image reference, e.g. `postgres:17`. */
export function imageReference(spec: Pick<ClusterSpec, 'image' | 'imageTag'>): string {
  return `${spec.image}:${spec.imageTag}`;
}

/**
 * Returns the PostgreSQL major version that a tag names (`17`, `17.6-bookworm`, `14-alpine`, `17@sha256:…`), or null when
 * it names none.
 */
export function majorOfTag(tag: string): number | null {
  const match = /^(\d{1,2})(?:$|[.\-_@])/.exec(tag);
  return match ? Number(match[1]) : null;
}
