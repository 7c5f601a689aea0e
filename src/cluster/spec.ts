import type { Settings } from './settings/settings.ts';

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
  /** Networks that may reach port 22 of the nodes. */
  readonly sshCidrs: readonly string[];
  /** Networks that may reach port 5432 of the nodes. */
  readonly clientCidrs: readonly string[];
  /** Existing subnets; empty means a VPC of the cluster's own. */
  readonly subnetIds: readonly string[];
  /** Name of the IAM instance profile that the nodes get; null: whichever they have. */
  readonly instanceProfile: string | null;
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
