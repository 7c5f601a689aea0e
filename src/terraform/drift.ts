import { isEmpty, isObject, type Json } from './attributes.ts';
import { listForeignRules } from './foreign-rules.ts';
import type { Change, Resource } from './plan-document.ts';

/**
 * Attributes, by type, that say something about other things: the inline policies of a role, which are resources of
 * their own and whose changes Terraform reads a run later, and the addresses of Amazon S3.
 */
const OF_OTHERS: Readonly<Record<string, readonly string[]>> = {
  aws_iam_role: ['inline_policy'],
  aws_vpc_endpoint: ['cidr_blocks'],
};

type Side = Readonly<Record<string, Json>>;

/**
 * Drops attributes that are not drift: those of other things, and those that had no value before. Other resources of the
 * plan set the latter (a volume attached to an instance), and the next refresh reads them. Of a security group's rules, those
 * stay that no resource of the plan, `resources`, has made.
 */
export function keepDrift(
  { type, change }: Pick<Resource, 'type' | 'change'>,
  resources: readonly Resource[],
): Change {
  const { before, after } = change;
  if (!isObject(before) || !isObject(after)) return change;
  const keep = (side: Side): Side =>
    Object.fromEntries(
      Object.entries(side).filter(
        ([key]) => !isEmpty(before[key] ?? null) && !OF_OTHERS[type]?.includes(key),
      ),
    );
  if (type !== 'aws_security_group') return { ...change, before: keep(before), after: keep(after) };
  const none = { ingress: [], egress: [] };
  const foreign = listForeignRules({ before, after }, resources);
  return {
    ...change,
    before: { ...keep(before), ...none },
    after: { ...keep(after), ...foreign },
  };
}
