import type { Instance, Rule, Tables } from '../world.ts';

// Separate chains in the mangle table: they run before the address translation of the machine's own Docker, so a
// published port does not bypass them, and the machine's changes to its filter table do not affect them.
const IN = 'LAB-IN';
const OUT = 'LAB-OUT';

/** The jumps that activate the chains, as arguments of `iptables -t mangle`; `eth+` matches both interfaces. */
export const JUMPS = [
  ['PREROUTING', '-i', 'eth+', '-j', IN],
  ['POSTROUTING', '-o', 'eth+', '-j', OUT],
] as const;

/** What has a network interface in a subnet: a machine, or an endpoint. */
export type Member = Pick<Instance, 'subnet' | 'groups' | 'privateIp'> & {
  readonly publicIp?: string | null;
};

/** The peers of a rule as IPv4 sources or destinations; a group is replaced by its members' private addresses. */
function listPeers(rule: Rule, { instances, endpoints }: Tables): string[] {
  if (rule.cidrIpv4 !== null) return [rule.cidrIpv4];
  const { referencedGroup } = rule;
  if (referencedGroup === null) return [];
  return [...Object.values(instances), ...Object.values(endpoints)]
    .filter(({ groups }) => groups.includes(referencedGroup))
    .map(({ privateIp }) => `${privateIp}/32`)
    .sort();
}

function matchPorts({ protocol, from, to }: Rule): string {
  if (protocol === '-1') return '';
  if (protocol === 'icmp') {
    if (from === null || from === -1) return '-p icmp';
    return `-p icmp --icmp-type ${to === null || to === -1 ? from : `${from}/${to}`}`;
  }
  const ports = (protocol === 'tcp' || protocol === 'udp') && from !== null && to !== null;
  return ports ? `-p ${protocol} --dport ${from}:${to}` : `-p ${protocol}`;
}

/** How a subnet reaches the internet: by its own internet gateway, by a NAT gateway in a subnet that has one, or not. */
export function findWay(
  { subnet }: Pick<Member, 'subnet'>,
  tables: Tables,
): 'gateway' | 'nat' | null {
  const { subnets, routeTables, gateways, natGateways, vpcs } = tables;
  const vpc = subnets[subnet]?.vpc ?? '';
  const own = Object.values(routeTables).find(({ associations }) =>
    associations.some((one) => one.subnet === subnet),
  );
  const table = own ?? routeTables[vpcs[vpc]?.mainRouteTable ?? ''];
  const targets = (table?.routes ?? [])
    .filter(({ destination }) => destination === '0.0.0.0/0')
    .map(({ gateway }) => gateway);
  if (targets.some((target) => gateways[target]?.vpc === vpc)) return 'gateway';
  const nat = targets.map((target) => natGateways[target]).find((one) => one !== undefined);
  if (nat === undefined || nat.subnet === subnet) return null;
  return findWay(nat, tables) === 'gateway' ? 'nat' : null;
}

/**
 * The security groups of a machine or an endpoint as input of `iptables-restore --noflush`: allows replies and what a rule allows,
 * nothing else. Pure: the same world results in the same text.
 */
export function writeFirewall(member: Member, tables: Tables): string {
  const rules = Object.values(tables.rules).filter(({ group }) => member.groups.includes(group));
  const open = (egress: boolean) =>
    rules
      .filter((rule) => rule.egress === egress)
      .flatMap((rule) => {
        const side = egress ? '-d' : '-s';
        return listPeers(rule, tables).map((peer) => `${side} ${peer} ${matchPorts(rule)}`.trim());
      })
      .sort()
      .map((match) => `-A ${egress ? OUT : IN} ${match} -j RETURN`);
  const publicIp = member.publicIp ?? null;
  const way = findWay(member, tables);
  const dead = publicIp !== null && way === null;
  const lines = [
    '*mangle',
    `:${IN} - [0:0]`,
    `:${OUT} - [0:0]`,
    ...(dead ? [`-A ${IN} -d ${publicIp} -j DROP`, `-A ${OUT} -s ${publicIp} -j DROP`] : []),
    `-A ${IN} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN`,
    `-A ${OUT} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN`,
    // A NAT gateway lets replies in, and nothing else.
    ...(way === 'nat' ? [`-A ${IN} ! -d ${member.privateIp} -j DROP`] : []),
    ...open(false),
    ...open(true),
    `-A ${IN} -j DROP`,
    `-A ${OUT} -j DROP`,
    'COMMIT',
  ];
  return `${lines.join('\n')}\n`;
}
