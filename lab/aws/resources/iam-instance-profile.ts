import { randomBytes } from 'node:crypto';
import { ApiError, call } from '../api-error.ts';
import { findInstanceProfile, findRole, makeInstanceProfile, refuseName } from '../iam.ts';
import { type Context, type Resource, readTags, text, textOrNull } from '../resource.ts';

/** What the provider appends to a prefix: the time and a number. */
function makeSuffix(): string {
  const time = new Date().toISOString().replace(/\D/g, '').padEnd(18, '0');
  return `${time}${randomBytes(4).toString('hex')}`;
}

async function addRole(name: string, role: string | null, { world }: Context): Promise<void> {
  const profile = findInstanceProfile(name, world.tables);
  if (role !== null) {
    const doing = `adding IAM Role (${role}) to IAM Instance Profile (${name})`;
    await call(doing, 'IAM:AddRoleToInstanceProfile', () => findRole(role, world.tables));
  }
  profile.role = role;
}

/** `aws_iam_instance_profile`. As in IAM, instances keep a profile that is deleted, and no longer get credentials. */
export const iamInstanceProfile: Resource = {
  rules: { forceNew: ['name', 'name_prefix', 'path'], defaults: { path: '/' } },

  async create(planned, context, record) {
    const { instanceProfiles } = context.world.tables;
    const name = text(planned.name) || `${text(planned.name_prefix)}${makeSuffix()}`;
    await call(`creating IAM Instance Profile (${name})`, 'IAM:CreateInstanceProfile', () => {
      refuseName(name, 128);
      if (instanceProfiles[name] !== undefined) {
        throw new ApiError('EntityAlreadyExists', `Instance Profile ${name} already exists.`);
      }
    });
    const made = makeInstanceProfile(name, text(planned.path) || '/');
    instanceProfiles[name] = { ...made, tags: readTags(planned) };
    record(name);
    await addRole(name, textOrNull(planned.role), context);
    return name;
  },

  read(id, { world }) {
    const found = world.tables.instanceProfiles[id];
    if (found === undefined) return undefined;
    return {
      id,
      arn: found.arn,
      create_date: found.created,
      name: id,
      name_prefix: /^(.*?)\d{18}[0-9a-f]{8}$/.exec(id)?.[1] ?? '',
      path: found.path,
      role: found.role ?? '',
      unique_id: found.uniqueId,
    };
  },

  async update(id, { planned }, context) {
    await addRole(id, textOrNull(planned.role), context);
    return undefined;
  },

  async delete(id, _recorded, { world }) {
    delete world.tables.instanceProfiles[id];
  },

  tags: (id, { world }) => world.tables.instanceProfiles[id],
  import: (id) => ({ id }),
};
