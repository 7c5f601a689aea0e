import { isObject, type Json } from './attributes.ts';
import type { Resource } from './plan-document.ts';

type Fields = Readonly<Record<string, Json>>;

/** The attributes of a security group with its rules, and the types of the resources that make them. */
const TYPES = {
  ingress: 'aws_vpc_security_group_ingress_rule',
  egress: 'aws_vpc_security_group_egress_rule',
} as const;
type Direction = keyof typeof TYPES;
/** The lists of peers in an element of `ingress` or `egress`. */
const LISTS = ['cidr_blocks', 'ipv6_cidr_blocks', 'prefix_list_ids', 'security_groups'] as const;
/** The peer of a rule for the group itself. */
const SELF = 'self';

/**
 * Returns the rules of a security group that somebody else added since Terraform read it last, as its attributes have them.
 * A group shows the rules of all: those of `resources`, which Terraform reads in the group a run later, are left out.
 */
export function listForeignRules(
  { before, after }: { before: Fields; after: Fields },
  resources: readonly Pick<Resource, 'type' | 'change'>[],
): Readonly<Record<Direction, readonly Fields[]>> {
  const list = (direction: Direction) => {
    const own = resources
      .filter(({ type }) => type === TYPES[direction])
      .flatMap(({ change }) => (isObject(change.before) ? [change.before] : []))
      .filter((rule) => rule.security_group_id === after.id)
      .map(describeRule);
    const known = new Set([...own, ...listElements(before[direction]).flatMap(describePeers)]);
    return listElements(after[direction]).flatMap((element) => dropPeers(element, known));
  };
  return { ingress: list('ingress'), egress: list('egress') };
}

const listElements = (value: Json | undefined): Fields[] =>
  Array.isArray(value) ? value.filter(isObject) : [];

/** The rule of a resource, as `describePeers` writes it. */
function describeRule(rule: Fields): string {
  const { referenced_security_group_id: group = null } = rule;
  const peer = rule.cidr_ipv4 ?? rule.cidr_ipv6 ?? rule.prefix_list_id ?? group;
  return describe(
    { ...rule, protocol: rule.ip_protocol ?? null },
    group !== null && group === rule.security_group_id ? SELF : peer,
  );
}

/** One text for each peer of an element. */
function describePeers(element: Fields): string[] {
  const peers = LISTS.flatMap((list) => listTexts(element[list]));
  return [...peers, ...(element.self === true ? [SELF] : [])].map((peer) =>
    describe(element, peer),
  );
}

// Rules for all protocols have no ports, or the ports 0.
const describe = ({ protocol, from_port, to_port }: Fields, peer: Json) =>
  JSON.stringify([protocol, from_port || 0, to_port || 0, peer]);

const listTexts = (value: Json | undefined): Json[] => (Array.isArray(value) ? [...value] : []);

/** Returns the element without the peers that are known; nothing if no peer is left. */
function dropPeers(element: Fields, known: ReadonlySet<string>): Fields[] {
  const isForeign = (peer: Json) => !known.has(describe(element, peer));
  const left = {
    ...element,
    ...Object.fromEntries(LISTS.map((list) => [list, listTexts(element[list]).filter(isForeign)])),
    self: element.self === true && isForeign(SELF),
  };
  return describePeers(left).length > 0 ? [left] : [];
}
