import type { Node } from '../cluster/node.ts';
import type { SshSpec } from '../cluster/spec.ts';

/** How the runner reaches SSH on the nodes. */
export type Route =
  | { readonly kind: 'direct'; readonly address: SshSpec['address'] }
  | {
      readonly kind: 'endpoint';
      /** `eice-0a1b2c3d4e5f60718`. */
      readonly endpointId: string;
      /**
       * Opens the way. `waitSeconds`: how long to wait for an endpoint that EC2 still creates.
       *
       * @throws UserError that says why there is no way and what to do
       */
      readonly open: (options: { waitSeconds: number }) => Promise<Tunnels>;
    };

/** Over the network, at the public address where there is one. */
export const DIRECT: Route = { kind: 'direct', address: null };

/** Tunnels to the nodes, one for each connection of ssh. `close` ends them. */
export interface Tunnels {
  /** The value of ssh's `ProxyCommand`. */
  readonly proxyCommand: string;
  /** Sets the only addresses that tunnels may lead to. */
  admit(addresses: readonly string[]): void;
  /** Returns why the last tunnel to an address could not be opened, as sentences; null if it was, or never was tried. */
  findCause(address: string): string | null;
  /** Returns how a tunnel to an address ended too early, at `since` (ms since 1970) or later, as sentences; null if none did. */
  findClosure(address: string, since: number): string | null;
  close(): Promise<void>;
}

/** The most nodes whose connections stay open; see `limitConnections`. */
const MAX_KEPT = 8;
/** Tunnels that may be open at once. A deploy and a review fit into the 20 connections of an endpoint. */
export const MAX_TUNNELS = 10;
/** Tunnels that Ansible leaves to `readProgress`. */
const PROGRESS_TUNNELS = 2;

/** How many connections a run may have. */
export interface ConnectionLimits {
  /** Whether ssh's connections stay open for the next task. */
  readonly keep: boolean;
  /** Nodes that Ansible works on at the same time; null: as in ansible.cfg. */
  readonly forks: number | null;
  /** Nodes that are asked for their progress at the same time. */
  readonly progress: number;
}

/**
 * Returns the limits for connections to `count` nodes. Over a tunnel, a connection that stays open holds one of few
 * tunnels, and a node without one would wait for it. So with many nodes none stays open, and each task opens its own.
 */
export function limitConnections(route: Route, count: number): ConnectionLimits {
  if (route.kind === 'direct' || count <= MAX_KEPT)
    return { keep: true, forks: null, progress: count };
  return { keep: false, forks: MAX_TUNNELS - PROGRESS_TUNNELS, progress: PROGRESS_TUNNELS };
}

/** How long ssh waits for a connection, in seconds: a tunnel may have to wait for another one to end. */
const TUNNEL_SECONDS = 40;

/** Returns Ansible's variables for the connections; none where ansible.cfg is right. */
export function renderConnections(
  route: Route,
  { keep, forks }: ConnectionLimits,
): Record<string, string> {
  return {
    ...(route.kind === 'endpoint' && { ANSIBLE_TIMEOUT: String(TUNNEL_SECONDS) }),
    ...(forks !== null && { ANSIBLE_FORKS: String(forks) }),
    // As in ansible.cfg, without what keeps a connection open.
    ...(!keep && {
      ANSIBLE_SSH_ARGS:
        '-o ControlMaster=no -o PreferredAuthentications=publickey -o ServerAliveInterval=15',
    }),
  };
}

/** Returns the address at which the runner reaches a node. */
export function sshAddress({ privateAddress, publicAddress }: Node, route: Route): string {
  const isPrivate = route.kind === 'endpoint' || route.address === 'private';
  return isPrivate ? privateAddress : publicAddress || privateAddress;
}
