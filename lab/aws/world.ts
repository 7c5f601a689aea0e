import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Image, listPublicImages } from './catalogue/images.ts';
import { listZones } from './catalogue/regions.ts';
import type { InstanceProfile, Role } from './iam.ts';
import type { Endpoint } from './instance-connect/endpoint.ts';
import type { Throttle } from './instance-connect/throttle.ts';
import type { LifecyclePolicy } from './lifecycle.ts';

/** The account that owns everything in the world. */
export const ACCOUNT = '123456789012';

export type Tags = { [key: string]: string };

/** What everything in an account has. */
export interface Thing {
  readonly id: string;
  readonly region: string;
  tags: Tags;
}

export interface Vpc extends Thing {
  readonly cidr: string;
  readonly tenancy: string;
  readonly defaultGroup: string;
  readonly mainRouteTable: string;
  dnsHostnames: boolean;
  dnsSupport: boolean;
  usageMetrics: boolean;
}

export interface Subnet extends Thing {
  readonly vpc: string;
  readonly cidr: string;
  readonly zone: string;
  mapPublicIp: boolean;
  /** On-launch switches by argument name. */
  switches: { [name: string]: boolean };
  hostnameType: string;
}

export interface Gateway extends Thing {
  vpc: string | null;
}

export interface Route {
  readonly destination: string;
  /** An internet gateway or a NAT gateway. */
  gateway: string;
}

/** A public address of the account. */
export interface ElasticAddress extends Thing {
  readonly publicIp: string;
}

export interface NatGateway extends Thing {
  readonly subnet: string;
  /** Id of its `ElasticAddress`. */
  readonly address: string;
  readonly association: string;
  readonly networkInterface: string;
  readonly privateIp: string;
}

/** A gateway endpoint of a VPC. */
export interface VpcEndpoint extends Thing {
  readonly vpc: string;
  /** `com.amazonaws.us-east-1.s3` */
  readonly service: string;
  routeTables: string[];
}

/** A hosted zone of Route 53. */
export interface HostedZone {
  readonly id: string;
  /** Without the last dot. */
  readonly name: string;
  readonly isPrivate: boolean;
}

/** A record set of Route 53. */
export interface DnsRecord {
  readonly id: string;
  readonly zone: string;
  readonly name: string;
  readonly type: string;
  /** Seconds. */
  ttl: number;
  values: string[];
}

export interface RouteTable extends Thing {
  readonly vpc: string;
  routes: Route[];
  associations: { id: string; subnet: string }[];
}

export interface SecurityGroup extends Thing {
  readonly vpc: string;
  readonly name: string;
  readonly description: string;
}

export interface Rule extends Thing {
  readonly group: string;
  readonly egress: boolean;
  protocol: string;
  from: number | null;
  to: number | null;
  cidrIpv4: string | null;
  cidrIpv6: string | null;
  prefixList: string | null;
  referencedGroup: string | null;
  description: string | null;
}

export interface KeyPair extends Thing {
  readonly name: string;
  readonly publicKey: string;
  readonly type: 'rsa' | 'ed25519';
  readonly fingerprint: string;
}

/** What ModifyVolume changes. `size` in GiB, `throughput` in MiB/s. */
export type VolumeShape = Pick<Volume, 'type' | 'size' | 'iops' | 'throughput'>;

/** A modification of a volume. Times are in ms since 1970. */
export interface Modification {
  state: 'modifying' | 'optimizing' | 'completed' | 'failed';
  readonly from: VolumeShape;
  readonly to: VolumeShape;
  readonly started: number;
  /** When `modifying` ends. */
  optimizes: number;
  /** When `optimizing` ends. */
  ends: number;
  /** The state in which it fails; null if it succeeds. */
  readonly fails: 'modifying' | 'optimizing' | null;
}

export interface Volume extends Thing {
  readonly zone: string;
  readonly encrypted: boolean;
  readonly kmsKey: string | null;
  readonly snapshot: string | null;
  readonly created: string;
  /** True for an instance's root disk: recorded here, stored in the container's own file system. */
  readonly root: boolean;
  type: string;
  /** GiB. */
  size: number;
  iops: number;
  throughput: number;
  /** Every modification so far, the latest last. */
  modifications: Modification[];
  attachment: { instance: string; device: string; deleteOnTermination: boolean } | null;
}

export interface Snapshot extends Thing {
  readonly volume: string;
  readonly size: number;
  readonly encrypted: boolean;
  readonly created: string;
}

export interface Instance extends Thing {
  readonly image: string;
  readonly subnet: string;
  readonly keyName: string | null;
  readonly privateIp: string;
  readonly networkInterface: string;
  readonly publicIpWanted: boolean;
  readonly rootVolume: string;
  readonly rootDevice: string;
  readonly ebsOptimized: boolean;
  readonly launched: string;
  type: string;
  state: 'running' | 'stopping' | 'stopped';
  /** Broken hardware: an orderly stop never ends. */
  stopHangs?: boolean;
  publicIp: string | null;
  groups: string[];
  sourceDestCheck: boolean;
  protected: boolean;
  stopProtected: boolean;
  monitoring: boolean;
  shutdownBehavior: string;
  /** The name of its instance profile in `instanceProfiles`. */
  iamProfile: string | null;
  userData: string | null;
  cpuCredits: string | null;
  metadata: { endpoint: string; hopLimit: number; tokens: string; tags: string; ipv6: string };
}

/** Everything that exists, by kind and id. */
export interface Tables {
  vpcs: { [id: string]: Vpc };
  subnets: { [id: string]: Subnet };
  gateways: { [id: string]: Gateway };
  natGateways: { [id: string]: NatGateway };
  addresses: { [id: string]: ElasticAddress };
  vpcEndpoints: { [id: string]: VpcEndpoint };
  lifecyclePolicies: { [id: string]: LifecyclePolicy };
  /** Zones of Route 53, which is global; the lab's Terraform only finds them. */
  hostedZones: { [id: string]: HostedZone };
  records: { [id: string]: DnsRecord };
  routeTables: { [id: string]: RouteTable };
  groups: { [id: string]: SecurityGroup };
  rules: { [id: string]: Rule };
  keyPairs: { [id: string]: KeyPair };
  volumes: { [id: string]: Volume };
  snapshots: { [id: string]: Snapshot };
  instances: { [id: string]: Instance };
  endpoints: { [id: string]: Endpoint };
  /** What tunnels through endpoints that are opened from now on may transfer. */
  throttle: Throttle;
  /** Images published later (a newer AMI), and zones that differ from the region's own list. */
  images: { [id: string]: Image };
  zones: { [region: string]: string[] };
  /** Quotas of a region: EC2's default for Elastic IPs, and an account that has been in use for the vCPUs that run. */
  quotas: { addresses: number; vcpus: number };
  /** Instance types without capacity, everywhere (`t3.medium`) or in one zone (`t3.medium us-east-1a`). */
  shortages: string[];
  /** IAM, which is global: roles and instance profiles by name, and the account's own policies (JSON) by ARN. */
  roles: { [name: string]: Role };
  instanceProfiles: { [name: string]: InstanceProfile };
  managedPolicies: { [arn: string]: string };
  /** How long the credentials that the metadata service gives last. */
  credentialSeconds: number;
  /** Volumes whose snapshot is not complete when the provider's wait times out. */
  slowSnapshots: string[];
  /** How EBS modifies volumes from now on. */
  ebs: {
    /** How long a modification is `modifying` and then `optimizing`, in ms. */
    modifyingMs: number;
    optimizingMs: number;
    /** Volumes whose next modification fails, and in which state. */
    failing: { [volume: string]: 'modifying' | 'optimizing' };
  };
  /** API operations that the account's credentials may not call, e.g. `DescribeVolumesModifications`, `OpenTunnel`. */
  forbidden: string[];
}

/** The time, and the wait for a later one. */
export interface Clock {
  /** ms since 1970. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** The time of this computer. */
export const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

function emptyTables(): Tables {
  return {
    vpcs: {},
    subnets: {},
    gateways: {},
    natGateways: {},
    addresses: {},
    vpcEndpoints: {},
    lifecyclePolicies: {},
    hostedZones: {},
    records: {},
    routeTables: {},
    groups: {},
    rules: {},
    keyPairs: {},
    volumes: {},
    snapshots: {},
    instances: {},
    endpoints: {},
    throttle: { burstBytes: 4 * 1024 ** 2, bytesPerSecond: 1024 ** 2 },
    images: {},
    zones: {},
    quotas: { addresses: 5, vcpus: 256 },
    shortages: [],
    roles: {},
    instanceProfiles: {},
    managedPolicies: {},
    credentialSeconds: 6 * 3600,
    slowSnapshots: [],
    ebs: { modifyingMs: 300, optimizingMs: 1000, failing: {} },
    forbidden: [],
  };
}

/** The account's contents, in memory and in one JSON file that is rewritten completely on every change. */
export class World {
  readonly tables: Tables;
  readonly directory: string;
  /** The network that public addresses come from, e.g. `10.99.0.0/16`. */
  readonly internet: string;
  readonly clock: Clock;
  readonly #file: string;

  /** Opens the world stored in the directory, which is created if absent. */
  constructor(directory: string, internet = '10.99.0.0/16', clock: Clock = SYSTEM_CLOCK) {
    mkdirSync(directory, { recursive: true });
    this.directory = directory;
    this.internet = internet;
    this.clock = clock;
    this.#file = join(directory, 'world.json');
    this.tables = { ...emptyTables(), ...readTables(this.#file) };
  }

  /** Writes the world to its file; a reader sees either the old or the new contents. */
  save(): void {
    writeFileSync(`${this.#file}.new`, `${JSON.stringify(this.tables, null, 1)}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }

  /** The images that a region offers, including published ones. */
  listImages(region: string): Image[] {
    const published = Object.values(this.tables.images).filter((image) => image.region === region);
    return [...listPublicImages(region), ...published];
  }

  /** The zones that a region has now. */
  listZones(region: string): string[] {
    return this.tables.zones[region] ?? listZones(region);
  }
}

function readTables(file: string): Partial<Tables> {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new Error(
      `${file} is not readable as a world: ${error}. Remove it to start from an empty one.`,
    );
  }
}

/** A new id in EC2's format: the prefix and 17 hexadecimal digits. */
export function makeId(prefix: string): string {
  return `${prefix}-${randomBytes(9).toString('hex').slice(0, 17)}`;
}

/** An id derived from the thing's name, for things that have no id in EC2. */
export function deriveId(prefix: string, ...parts: string[]): string {
  return `${prefix}-${createHash('sha1').update(parts.join('\n')).digest('hex').slice(0, 10)}`;
}

/** The Amazon Resource Name of an EC2 resource, e.g. `arn:aws:ec2:us-east-1:123456789012:vpc/vpc-0a…`. */
export function writeArn(region: string, kind: string, id: string): string {
  return `arn:aws:ec2:${region}:${ACCOUNT}:${kind}/${id}`;
}
