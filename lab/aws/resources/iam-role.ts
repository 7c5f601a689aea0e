import { ApiError, call } from '../api-error.ts';
import type { Role } from '../iam.ts';
import { findRole, makeUniqueId, normaliseJson, refuseName, writeIamArn } from '../iam.ts';
import {
  type Context,
  numberOrNull,
  type Resource,
  readTags,
  text,
  textOrNull,
} from '../resource.ts';
import type { Fields } from '../values.ts';

/** What of a role changes in place. */
function readRole(
  planned: Fields,
): Pick<Role, 'trustPolicy' | 'description' | 'maxSession' | 'boundary'> {
  return {
    trustPolicy: text(planned.assume_role_policy),
    description: text(planned.description),
    maxSession: numberOrNull(planned.max_session_duration) ?? 3600,
    boundary: textOrNull(planned.permissions_boundary),
  };
}

function refuseBoundary(arn: string | null, { world }: Context): void {
  if (arn === null || world.tables.managedPolicies[arn] !== undefined) return;
  throw new ApiError('NoSuchEntity', `Scope ARN: ${arn} does not exist or is not attachable.`);
}

/** `aws_iam_role`. The real provider also shows the inline policies of `aws_iam_role_policy` at the next refresh. */
export const iamRole: Resource = {
  rules: {
    forceNew: ['name', 'name_prefix', 'path'],
    defaults: { force_detach_policies: false, max_session_duration: 3600, path: '/' },
    spellings: { assume_role_policy: normaliseJson },
    computedBlocks: ['inline_policy'],
  },

  async create(planned, context) {
    const { roles } = context.world.tables;
    const name = text(planned.name);
    const path = text(planned.path) || '/';
    const role = readRole(planned);
    await call(`creating IAM Role (${name})`, 'IAM:CreateRole', () => {
      refuseName(name, 64);
      if (roles[name] !== undefined) {
        throw new ApiError('EntityAlreadyExists', `Role with name ${name} already exists.`);
      }
      refuseBoundary(role.boundary, context);
    });
    roles[name] = {
      name,
      path,
      arn: writeIamArn('role', path, name),
      uniqueId: makeUniqueId('AROA'),
      created: new Date().toISOString(),
      policies: {},
      tags: readTags(planned),
      ...role,
    };
    return name;
  },

  read(id, { world }) {
    const found = world.tables.roles[id];
    if (found === undefined) return undefined;
    return {
      id,
      arn: found.arn,
      assume_role_policy: found.trustPolicy,
      create_date: found.created,
      description: found.description,
      inline_policy: Object.entries(found.policies).map(([name, policy]) => ({ name, policy })),
      managed_policy_arns: [],
      max_session_duration: found.maxSession,
      name: id,
      name_prefix: '',
      path: found.path,
      permissions_boundary: found.boundary ?? '',
      unique_id: found.uniqueId,
    };
  },

  async update(id, { planned }, context) {
    const role = readRole(planned);
    await call(
      `updating IAM Role (${id}) permissions boundary`,
      'IAM:PutRolePermissionsBoundary',
      () => {
        const found = findRole(id, context.world.tables);
        if (role.boundary !== found.boundary) refuseBoundary(role.boundary, context);
        Object.assign(found, role);
      },
    );
    return undefined;
  },

  async delete(id, _recorded, { world }) {
    const { roles, instanceProfiles } = world.tables;
    const found = roles[id];
    if (found === undefined) return;
    // The real provider first takes the role out of its instance profiles.
    for (const profile of Object.values(instanceProfiles)) {
      if (profile.role === id) profile.role = null;
    }
    await call(`deleting IAM Role (${id})`, 'IAM:DeleteRole', () => {
      if (Object.keys(found.policies).length > 0) {
        throw new ApiError('DeleteConflict', 'Cannot delete entity, must delete policies first.');
      }
    });
    delete roles[id];
  },

  tags: (id, { world }) => world.tables.roles[id],
  import: (id) => ({ id, force_detach_policies: false }),
};
