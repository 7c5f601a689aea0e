import { ApiError, call } from '../api-error.ts';
import { findRole, normalisePolicy, refuseName } from '../iam.ts';
import { type Context, type Resource, text } from '../resource.ts';
import type { Fields } from '../values.ts';

/** The longest that the inline policies of a role may be together, without white space (IAM User Guide, "IAM and AWS STS quotas"). */
const INLINE = 10_240;

async function putPolicy(planned: Fields, { world }: Context): Promise<string> {
  const [role, name, policy] = [planned.role, planned.name, planned.policy].map(text) as [
    string,
    string,
    string,
  ];
  await call(`putting IAM Role (${role}) Policy (${name})`, 'IAM:PutRolePolicy', () => {
    refuseName(name, 128);
    const found = findRole(role, world.tables);
    const all = { ...found.policies, [name]: policy };
    if (Object.values(all).join('').replace(/\s/g, '').length > INLINE) {
      throw new ApiError(
        'LimitExceeded',
        `Maximum policy size of ${INLINE} bytes exceeded for role ${role}`,
      );
    }
    found.policies = all;
  });
  return `${role}:${name}`;
}

/** The role and the policy's name in an id. */
function split(id: string): [role: string, name: string] {
  const at = id.indexOf(':');
  return [id.slice(0, at), id.slice(at + 1)];
}

/** `aws_iam_role_policy`: an inline policy of a role; its id is `<role>:<name>`. */
export const iamRolePolicy: Resource = {
  rules: { forceNew: ['name', 'name_prefix', 'role'], spellings: { policy: normalisePolicy } },

  create: putPolicy,

  read(id, { world }) {
    const [role, name] = split(id);
    const policy = world.tables.roles[role]?.policies[name];
    return policy === undefined ? undefined : { id, name, name_prefix: '', policy, role };
  },

  async update(_id, { planned }, context) {
    await putPolicy(planned, context);
    return undefined;
  },

  async delete(id, _recorded, { world }) {
    const [role, name] = split(id);
    delete world.tables.roles[role]?.policies[name];
  },

  import: (id) => ({ id }),
};
