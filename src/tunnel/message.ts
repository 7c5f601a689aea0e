// What the tunnel program and its broker say to each other: one JSON text a line, over a Unix socket in the job's private
// folder. The connection stays open as long as the tunnel.

/** The program's first line: the tunnel that ssh asks for. */
export interface TunnelRequest {
  readonly address: string;
  readonly port: number;
}

/** The broker's lines: try this URL, or give up for this reason. */
export type TunnelAnswer = { readonly url: string } | { readonly refused: string };

/** What came of a URL. After `status` and `error` the broker answers again. */
export type TunnelResult =
  | { readonly kind: 'open' }
  /** The endpoint refused the WebSocket. */
  | { readonly kind: 'status'; readonly status: number; readonly body: string }
  /** The endpoint was not reached. */
  | { readonly kind: 'error'; readonly code: string };

/** The program's last line if the endpoint ended a tunnel over which the node has answered; a WebSocket's code and reason. */
export interface TunnelClosure {
  readonly kind: 'closed';
  readonly code: number;
  readonly reason: string;
}

/** The longest line, in code units. */
export const MAX_LINE = 16 * 1024;
/** The most of a refusal's body that is passed on, in bytes. */
export const MAX_BODY = 4096;
