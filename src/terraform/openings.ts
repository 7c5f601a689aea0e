import { isObject, type Json } from './attributes.ts';
import type { PlanDocument } from './plan-document.ts';

/** A port of the nodes that a rule opens which is not the templates'. */
export interface Opening {
  /** Id of the nodes' security group. */
  readonly group: string;
  readonly port: number;
  /** Who may reach it: a network, a prefix list or another group. */
  readonly peer: string;
}

type Fields = Readonly<Record<string, Json>>;

/** The ports about which the description decides: SSH and PostgreSQL. */
const PORTS = [22, 5432];
/** The lists of peers in an element of a group's `ingress`. */
const LISTS = ['cidr_blocks', 'ipv6_cidr_blocks', 'prefix_list_ids', 'security_groups'] as const;
/** Number or name of TCP, and all protocols (EC2 API, "IpPermission"). */
const PROTOCOLS: readonly Json[] = ['tcp', '6', '-1'];

/**
 * Finds the ports that somebody opened outside Terraform: rules of the nodes' group as it is now that no resource of the plan
 * has made. Such a rule is a resource of nobody, so a plan neither shows nor removes it.
 */
export function findOpenings({ resource_changes: resources }: PlanDocument): Opening[] {
  return resources
    .filter(({ type, name }) => type === 'aws_security_group' && name === 'nodes')
    .flatMap(({ change }) => (isObject(change.before) ? [change.before] : []))
    .flatMap((group) => {
      const own = new Set(
        resources
          .filter(({ type }) => type === 'aws_vpc_security_group_ingress_rule')
          .flatMap(({ change }) => (isObject(change.before) ? [change.before] : []))
          .filter(({ security_group_id }) => security_group_id === group.id)
          .map(describeRule),
      );
      return listObjects(group.ingress).flatMap((element) =>
        listPeers(element, group)
          .filter((peer) => !own.has(describe(element, peer)))
          .flatMap((peer) =>
            PORTS.filter((port) => opens(element, port)).map((port) => ({
              ...{ group: String(group.id), port, peer },
            })),
          ),
      );
    });
}

const listObjects = (value: Json | undefined): Fields[] =>
  Array.isArray(value) ? value.filter(isObject) : [];
const listTexts = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

function opens({ protocol, from_port, to_port }: Fields, port: number): boolean {
  if (protocol === '-1') return true;
  return (
    PROTOCOLS.includes(protocol ?? null) && Number(from_port) <= port && port <= Number(to_port)
  );
}

/** The rule of a resource, as `describe` writes it. */
function describeRule(rule: Fields): string {
  const peer =
    rule.cidr_ipv4 ?? rule.cidr_ipv6 ?? rule.prefix_list_id ?? rule.referenced_security_group_id;
  return describe({ ...rule, protocol: rule.ip_protocol ?? null }, String(peer));
}

/** The peers of an element; a rule for the group itself has its id. */
const listPeers = (element: Fields, { id }: Fields): string[] => [
  ...LISTS.flatMap((list) => listTexts(element[list])),
  ...(element.self === true ? [String(id)] : []),
];

// Rules for all protocols have no ports, or the ports 0.
const describe = ({ protocol, from_port, to_port }: Fields, peer: string) =>
  JSON.stringify([protocol, from_port || 0, to_port || 0, peer]);
