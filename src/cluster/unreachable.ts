import type { Node } from './node.ts';
import type { SshSpec } from './spec.ts';

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
  /** What ssh said, by node; a node is missing where it said nothing. */
  readonly messages: Readonly<Record<string, string>>;
}

/** The network that the runner logs in from. */
export interface RunnerNetwork {
  readonly via: SshSpec['via'];
  /** The networks that may reach port 22 of the nodes. */
  readonly sshCidrs: readonly string[];
  /** IPv4 addresses of the runner's own interfaces. Behind NAT the nodes see another address. */
  readonly addresses: readonly string[];
}

/**
 * Returns why nodes could not be reached and what to do about it, the likely cause first: one text per cause, for all
 * nodes that it concerns. Empty where all were reached. `isPrimarySeen`: whether another node answers as the primary.
 */
export function explainUnreachable(
  { asked, noAnswer: silent, loginRefused: locked, states, messages }: UnreachableNodes,
  { vantage, isPrimarySeen }: { vantage: RunnerNetwork; isPrimarySeen: boolean },
): string[] {
  const all = asked.length > 0 && silent.length === asked.length;
  const nodes = silent.flatMap((name) => asked.find((node) => node.name === name) ?? []);
  const causes = groupBy(nodes, ({ name }) => findTunnelCause(messages[name] ?? '') ?? '');
  const unexplained = causes.get('') ?? [];
  const isRunning = all && !silent.some((name) => isHalted(states[name]));
  const isNetwork =
    isRunning &&
    unexplained.length === asked.length &&
    !silent.some((name) => isRefused(messages[name] ?? ''));
  // One cause for all nodes lies on the way to them, so it says nothing about the primary.
  const isWay = isNetwork || (isRunning && causes.size === 1 && unexplained.length === 0);
  const lost =
    silent.length === 0 || isPrimarySeen || isWay
      ? []
      : [
          'No node that answers is the primary. Where the primary is lost for good, run the action with command: failover.',
        ];
  return [
    ...[...causes]
      .filter(([cause]) => cause !== '')
      .map(([cause, group]) => `${listNames(group)} cannot be reached: ${cause}`),
    ...(isNetwork
      ? [explainNoneAnswers(asked, { vantage, states })]
      : explainUnreachableNodes(unexplained, states)),
    ...lost,
    ...explainLoginsRefused(locked, messages),
  ];
}

/** A connection that was lost during a step. */
export interface LostConnection {
  /** Of the node. */
  readonly name: string;
  /** Kind of the step. */
  readonly step: string;
  /** What ssh said. */
  readonly message: string;
  /** Whether the SSH server answered and refused the login. */
  readonly isLocked: boolean;
}

/**
 * Returns why nodes that answered before do not answer any more, and what to do about it: one text per cause, for all nodes
 * that it concerns. `asked`: every node that the steps need.
 */
export function explainLostNodes(
  lost: readonly LostConnection[],
  asked: readonly Node[],
): string[] {
  const messages = Object.fromEntries(lost.map(({ name, message }) => [name, message]));
  const locked = lost.filter(({ isLocked }) => isLocked).map(({ name }) => name);
  const silent = lost.filter(({ isLocked }) => !isLocked);
  const nodes = asked.filter(({ name }) => silent.some((one) => one.name === name));
  const causes = groupBy(nodes, ({ name }) => findTunnelCause(messages[name] ?? '') ?? '');
  return [
    ...[...causes].map(([cause, group]) => {
      const own = silent.filter((one) => group.some(({ name }) => name === one.name));
      const steps = [...new Set(own.map(({ step }) => step))].join(', ');
      if (cause !== '') {
        return `${listNames(group)} cannot be reached any more (step ${steps}): ${cause}`;
      }
      return group.length === asked.length && group.length > 1
        ? `No node answers SSH any more (${listNames(group)}; step ${steps}). They answered before, so most likely the network between the runner and them broke, not the nodes.`
        : explainLostGroup(group, steps);
    }),
    ...explainLoginsRefused([...new Set(locked)], messages),
  ];
}

function explainLostGroup(nodes: readonly Node[], steps: string): string {
  const ids = nodes.map(({ instanceId }) => instanceId).join(', ');
  const [answer, instances, are] =
    nodes.length === 1
      ? ['does not answer', 'instance', 'is']
      : ['do not answer', 'instances', 'are'];
  return `${listNames(nodes)} ${answer} SSH any more (step ${steps}). Most likely the ${instances} ${ids} ${are} restarting or overloaded: look at the status checks and the console in EC2.`;
}

/** Whether the host answers and nothing listens on port 22. */
const isRefused = (message: string): boolean => /Connection refused/i.test(message);

/** Returns the reason that the program behind a tunnel gave to ssh (`src/tunnel`); null without one. */
function findTunnelCause(message: string): string | null {
  return /(?:^|\s)tunnel: ([^\n]+)/.exec(message)?.[1]?.trim() ?? null;
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
  const running = asked.every(({ name }) => states[name] === 'running');
  const known = running ? ', and EC2 says that their instances run' : '';
  const begin = `None of the nodes answers SSH (${listNames(asked)})${known}.`;
  if (vantage.via === 'instance-connect-endpoint') {
    return `${begin} The endpoint accepts the connection, so look at what lies behind it: its security group must let port 22 out to the nodes, theirs must let it in from that group, and so must the network ACLs of the subnets.`;
  }
  const cidrs = vantage.sshCidrs.join(', ') || 'no network';
  const isPublic = asked.some(({ publicAddress }) => publicAddress !== '');
  // Over public addresses the nodes see the runner's public address, which may not be on an interface.
  const visible = vantage.addresses.filter((address) => !isPublic || !isPrivate(address));
  const inside = visible.filter((address) =>
    vantage.sshCidrs.some((cidr) => contains(cidr, address)),
  );
  if (inside.length > 0) {
    return `${begin} This runner's address ${inside.join(', ')} is in ssh-cidrs (${cidrs}), so look at what else lies between: network ACL and routes of the nodes' subnets, a firewall of the runner's network, and whether the security group in EC2 has these networks.`;
  }
  const own = vantage.addresses.length === 0 ? 'not known' : vantage.addresses.join(', ');
  const where =
    visible.length > 0
      ? `This runner has the address ${visible.join(', ')}, and ssh-cidrs has ${cidrs}.`
      : `ssh-cidrs has ${cidrs}; this runner's own address is ${own}, and the nodes see the public one of its network (curl -s https://checkip.amazonaws.com in a step shows it).`;
  return `${begin} Most likely the runner's address is not in ssh-cidrs. ${where} Add its network and merge that: the deploy opens the security group first. A runner without a fixed address uses ssh-via: instance-connect-endpoint.`;
}

/**
 * Returns what to do about nodes that do not answer, one text for all in the same state: what EC2 says, then the mildest
 * remedy first.
 */
export function explainUnreachableNodes(
  nodes: readonly Node[],
  states: UnreachableNodes['states'],
): string[] {
  return [...groupBy(nodes, ({ name }) => states[name] ?? '')].map(([state, group]) =>
    explainState(group, state === '' ? undefined : state),
  );
}

function explainState(nodes: readonly Node[], state: string | undefined): string {
  const names = listNames(nodes);
  const ids = nodes.map(({ instanceId }) => instanceId).join(', ');
  const [its, instance, is, it] =
    nodes.length === 1 ? ['its', 'instance', 'is', 'it'] : ['their', 'instances', 'are', 'they'];
  const each = nodes.length === 1 ? '' : ', one node after the other';
  const replace = `run the action with command: replace and replace: ${nodes[0]?.name}`;
  switch (state) {
    case 'stopped':
      return `${names} cannot be reached: EC2 says that ${its} ${instance} ${ids} ${is} stopped. Start ${nodes.length === 1 ? 'it' : 'them'} in EC2 and run this again.`;
    case 'stopping':
    case 'shutting-down':
      return `${names} cannot be reached: EC2 says that ${its} ${instance} ${ids} ${is} ${state}. Wait until ${it} ${nodes.length === 1 ? 'has' : 'have'} stopped, start ${nodes.length === 1 ? 'it' : 'them'} in EC2 and run this again.`;
    case 'terminated':
      return `${names} cannot be reached: ${its} ${instance} ${is} terminated. To get another one around ${its} data volume, ${replace}${each}.`;
    default:
      return `${names} cannot be reached (${instance} ${ids}; ${describeInstanceState(state)}). Look at the status checks and the console in EC2, reboot, and run this again. If that does not help, ${replace}${each}: it makes another instance around the data volume.`;
  }
}

const HOST_KEY = /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/i;

/** Explains refused logins: another host key, then everything else. */
function explainLoginsRefused(
  names: readonly string[],
  messages: UnreachableNodes['messages'],
): string[] {
  const isForeign = (name: string) => HOST_KEY.test(messages[name] ?? '');
  const foreign = names.filter(isForeign);
  const refused = names.filter((name) => !isForeign(name));
  const describe = (group: readonly string[], why: string, fix: string) => {
    if (group.length === 0) return [];
    const [answers, its, it] =
      group.length === 1
        ? ['the SSH server answers', 'Its', 'it']
        : ['the SSH servers answer', 'Their', 'them'];
    return [
      `${group.join(', ')}: ${answers}, but ${why}. ${its} PostgreSQL may still be running, so nothing is done around ${it}. ${fix}`,
    ];
  };
  return [
    ...describe(
      foreign,
      'with another host key than before',
      'If somebody replaced the instance by hand, remove its line from the known_hosts file of the working directory and run this again; otherwise find out who answers.',
    ),
    ...describe(
      refused,
      'the login of this action is refused',
      'Check ssh-private-key and ssh-user, and run this again.',
    ),
  ];
}

const listNames = (nodes: readonly Node[]): string => nodes.map(({ name }) => name).join(', ');

function groupBy<Item>(items: readonly Item[], key: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
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
