import type { Node } from './node.ts';

/** What is known about nodes that the runner could not log in to. */
export interface UnreachableNodes {
  /** Every node that was to be observed. */
  readonly asked: readonly Node[];
  /** Names of nodes on which no SSH server answered. */
  readonly noAnswer: readonly string[];
  /** Names of nodes whose SSH server answered and refused the login. */
  readonly loginRefused: readonly string[];
  /** EC2's state of each instance (`running`, `stopped`, …), by node; empty where EC2 was not asked. */
  readonly states: Readonly<Record<string, string>>;
}

/** The network that the runner logs in from. */
export interface RunnerNetwork {
  /** The networks that may reach port 22 of the nodes. */
  readonly sshCidrs: readonly string[];
  /** IPv4 addresses of the runner's own interfaces. Behind NAT the nodes see another address. */
  readonly addresses: readonly string[];
}

/**
 * Returns why nodes could not be reached and what to do about it, the likely cause first; empty where all were reached.
 * `isPrimarySeen`: whether another node answers as the primary.
 */
export function explainUnreachable(
  { asked, noAnswer: silent, loginRefused: locked, states }: UnreachableNodes,
  { vantage, isPrimarySeen }: { vantage: RunnerNetwork; isPrimarySeen: boolean },
): string[] {
  const all = asked.length > 0 && silent.length === asked.length;
  const halted = silent.filter((name) => isHalted(states[name]));
  const nodes = silent.flatMap((name) => asked.find((node) => node.name === name) ?? []);
  const lost =
    silent.length === 0 || isPrimarySeen
      ? []
      : [
          'No node that answers is the primary. Where the primary is lost for good, run the action with command: failover.',
        ];
  return [
    ...(all && halted.length === 0 ? [explainNoneAnswers(asked, { vantage, states })] : []),
    ...(all && halted.length === 0
      ? []
      : nodes.map((node) => explainUnreachableNode(node, states[node.name]))),
    ...(all ? [] : lost),
    ...(locked.length === 0 ? [] : [explainLoginRefused(locked)]),
  ];
}

/** Whether the state is one of an instance that does not run (EC2 User Guide, "Amazon EC2 instance state changes"). */
function isHalted(state: string | undefined): boolean {
  return state !== undefined && state !== 'running' && state !== 'pending';
}

/** Returns what EC2 says about a node's instance, as part of a sentence. */
export function describeInstanceState(state: string | undefined): string {
  return state === undefined ? 'EC2 was not asked' : `EC2 says: ${state}`;
}

function explainNoneAnswers(
  asked: readonly Node[],
  { vantage, states }: { vantage: RunnerNetwork; states: UnreachableNodes['states'] },
): string {
  const names = asked.map(({ name }) => name).join(', ');
  const running = asked.every(({ name }) => states[name] === 'running');
  const known = running ? ', and EC2 says that their instances run' : '';
  const cidrs = vantage.sshCidrs.join(', ') || 'no network';
  const isPublic = asked.some(({ publicAddress }) => publicAddress !== '');
  // Over public addresses the nodes see the runner's public address, which may not be on an interface.
  const visible = vantage.addresses.filter((address) => !isPublic || !isPrivate(address));
  const inside = visible.filter((address) =>
    vantage.sshCidrs.some((cidr) => contains(cidr, address)),
  );
  if (inside.length > 0) {
    return `None of the nodes answers SSH (${names})${known}. This runner's address ${inside.join(', ')} is in ssh-cidrs (${cidrs}), so look at what else lies between: the network ACL and the routes of the nodes' subnets, a firewall of the runner's network, and whether the security group in EC2 has these networks.`;
  }
  const own = vantage.addresses.length === 0 ? 'not known' : vantage.addresses.join(', ');
  const where =
    visible.length > 0
      ? `This runner has the address ${visible.join(', ')}, and ssh-cidrs has ${cidrs}.`
      : `ssh-cidrs has ${cidrs}; this runner's own address is ${own}, and the nodes see the public one of its network. A step of the same job shows it: run: curl -s https://checkip.amazonaws.com`;
  return `None of the nodes answers SSH (${names})${known}. Most likely the runner's address is not in ssh-cidrs. ${where} Add its network to ssh-cidrs and merge that: the deploy opens the security group first.`;
}

/** Returns what to do about one node that does not answer: what EC2 says, then the mildest remedy first. */
export function explainUnreachableNode(node: Node, state: string | undefined): string {
  const { name, instanceId: id } = node;
  const replace = `run the action with command: replace and replace: ${name}, which makes another instance around its data volume`;
  switch (state) {
    case 'stopped':
      return `${name} cannot be reached: EC2 says that its instance ${id} is stopped. Start it (aws ec2 start-instances --instance-ids ${id}) and run this again.`;
    case 'stopping':
    case 'shutting-down':
      return `${name} cannot be reached: EC2 says that its instance ${id} is ${state}. Wait until it has stopped, start it (aws ec2 start-instances --instance-ids ${id}) and run this again.`;
    case 'terminated':
      return `${name} cannot be reached: its instance is terminated. To get another one around its data volume, ${replace.replace(/, which.*/, '')}.`;
    default:
      return `${name} cannot be reached (instance ${id}; ${describeInstanceState(state)}). Look at its status checks and its console (aws ec2 describe-instance-status --instance-ids ${id}, aws ec2 get-console-output --instance-id ${id}), then reboot it (aws ec2 reboot-instances --instance-ids ${id}) and run this again. If it does not come back, ${replace}.`;
  }
}

function explainLoginRefused(names: readonly string[]): string {
  const [servers, their, them] =
    names.length === 1
      ? ['SSH server answers but refuses', 'Its', 'it']
      : ['SSH servers answer but refuse', 'Their', 'them'];
  return `${names.join(', ')}: the ${servers} the login of this action, for the reason that the messages name. ${their} PostgreSQL may still be running, so nothing is done around ${them}. Check ssh-private-key, ssh-user and the known_hosts file of the working directory, and run this again.`;
}

/** RFC 1918, and RFC 6598 (section 7) for carrier-grade NAT. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

const isPrivate = (address: string): boolean => PRIVATE.some((cidr) => contains(cidr, address));

/** Whether the IPv4 network `cidr` contains the address; false where either is invalid. */
function contains(cidr: string, address: string): boolean {
  const [network = '', length = '32'] = cidr.split('/');
  const [a, b] = [readAddress(network), readAddress(address)];
  const bits = Number(length);
  if (a === null || b === null || !(bits >= 0 && bits <= 32)) return false;
  const size = 2 ** (32 - bits);
  return Math.floor(a / size) === Math.floor(b / size);
}

function readAddress(text: string): number | null {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) return null;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}
