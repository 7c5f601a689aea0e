import { isEmpty, isObject, type Json } from './attributes.ts';
import type { Change, Resource } from './plan-document.ts';

/**
 * Attributes, by type, that say something about other things: the inline policies of a role and the rules of a group, which
 * are resources of their own and whose changes Terraform reads a run later, and the addresses of Amazon S3.
 */
const OF_OTHERS: Readonly<Record<string, readonly string[]>> = {
  aws_iam_role: ['inline_policy'],
  aws_security_group: ['ingress', 'egress'],
  aws_vpc_endpoint: ['cidr_blocks'],
};

/**
 * Drops attributes that are not drift: those of other things, and those that had no value before. Other resources of the
 * plan set the latter (a volume attached to an instance), and the next refresh reads them.
 */
export function keepDrift({ type, change }: Pick<Resource, 'type' | 'change'>): Change {
  const { before, after } = change;
  if (!isObject(before) || !isObject(after)) return change;
  const kept = Object.keys(before).filter(
    (key) => !isEmpty(before[key]) && !OF_OTHERS[type]?.includes(key),
  );
  const keep = (side: Readonly<Record<string, Json>>) =>
    Object.fromEntries(Object.entries(side).filter(([key]) => kept.includes(key)));
  return { ...change, before: keep(before), after: keep(after) };
}
