import { randomBytes } from 'node:crypto';
import { ApiError } from './api-error.ts';
import { ACCOUNT, type Instance, type Tables, type Tags } from './world.ts';

/** A role of IAM. Policies are JSON as they were given. */
export interface Role {
  readonly name: string;
  /** Begins and ends with a slash. */
  readonly path: string;
  readonly arn: string;
  /** `AROA…` */
  readonly uniqueId: string;
  /** RFC 3339 */
  readonly created: string;
  trustPolicy: string;
  description: string;
  /** Seconds. */
  maxSession: number;
  /** ARN of the policy that bounds it, in `managedPolicies`. */
  boundary: string | null;
  /** Inline policies by name. */
  policies: { [name: string]: string };
  tags: Tags;
}

/** An instance profile of IAM: a holder of one role. */
export interface InstanceProfile {
  readonly name: string;
  readonly path: string;
  readonly arn: string;
  /** `AIPA…` */
  readonly uniqueId: string;
  /** RFC 3339 */
  readonly created: string;
  /** The name of its role in `roles`. */
  role: string | null;
  tags: Tags;
}

/** The instance profile and the role behind an instance's credentials; null if it has no credentials. */
export function findIdentity(
  instance: Pick<Instance, 'iamProfile'>,
  { instanceProfiles, roles }: Pick<Tables, 'instanceProfiles' | 'roles'>,
): { profile: InstanceProfile; role: Role } | null {
  const profile = instanceProfiles[instance.iamProfile ?? ''];
  const role = roles[profile?.role ?? ''];
  return profile === undefined || role === undefined ? null : { profile, role };
}

/** A new unique id in IAM's format: the prefix (`AROA`, `AIPA`) and 17 letters and digits. */
export function makeUniqueId(prefix: string): string {
  return `${prefix}${randomBytes(9).toString('hex').slice(0, 17).toUpperCase()}`;
}

/** The ARN of something in IAM, e.g. `arn:aws:iam::123456789012:role/postgres-cluster/orders`. */
export function writeIamArn(kind: 'role' | 'instance-profile', path: string, name: string): string {
  return `arn:aws:iam::${ACCOUNT}:${kind}${path}${name}`;
}

/** An instance profile without a role, as if it had been made outside Terraform. */
export function makeInstanceProfile(name: string, path = '/'): InstanceProfile {
  return {
    name,
    path,
    arn: writeIamArn('instance-profile', path, name),
    uniqueId: makeUniqueId('AIPA'),
    created: new Date().toISOString(),
    role: null,
    tags: {},
  };
}

/** Returns the role; throws IAM's refusal if it does not exist. */
export function findRole(name: string, { roles }: Pick<Tables, 'roles'>): Role {
  const found = roles[name];
  if (found === undefined) {
    throw new ApiError('NoSuchEntity', `The role with name ${name} cannot be found.`);
  }
  return found;
}

/** Returns the instance profile; throws IAM's refusal if it does not exist. */
export function findInstanceProfile(
  name: string,
  { instanceProfiles }: Pick<Tables, 'instanceProfiles'>,
): InstanceProfile {
  const found = instanceProfiles[name];
  if (found === undefined) {
    throw new ApiError('NoSuchEntity', `Instance Profile ${name} cannot be found.`);
  }
  return found;
}

/** Refuses a name as IAM does: letters, digits and `+=,.@_-`. */
export function refuseName(name: string, longest: number): void {
  if (/^[\w+=,.@-]+$/.test(name) && name.length <= longest) return;
  throw new ApiError(
    'ValidationError',
    `1 validation error detected: Value '${name}' failed to satisfy constraint: Member must have length less than or equal to ${longest} and match [\\w+=,.@-]+`,
  );
}

/** Whether a service of AWS, e.g. `dlm.amazonaws.com`, may assume the role. Conditions are not looked at. */
export function trustsService(
  { trustPolicy }: Pick<Role, 'trustPolicy'>,
  service: string,
): boolean {
  const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);
  const { Statement } = JSON.parse(trustPolicy) as { Statement: unknown };
  return list(Statement).some((statement) => {
    const { Effect, Action, Principal } = statement as Record<string, unknown>;
    const services = (Principal as Record<string, unknown> | undefined)?.Service;
    return (
      Effect === 'Allow' &&
      list(Action).includes('sts:AssumeRole') &&
      list(services).includes(service)
    );
  });
}

/** A policy as the provider stores it: without white space, `Version` first. */
export function normalisePolicy(policy: string): string {
  try {
    const { Version, ...rest } = JSON.parse(policy);
    return JSON.stringify({ ...(Version && { Version }), ...rest });
  } catch {
    return policy;
  }
}

/** JSON as the provider stores it where it is not a policy for it: without white space, names in order. */
export function normaliseJson(json: string): string {
  const sort = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sort);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
    return Object.fromEntries(entries.map(([name, item]) => [name, sort(item)]));
  };
  try {
    return JSON.stringify(sort(JSON.parse(json)));
  } catch {
    return json;
  }
}
