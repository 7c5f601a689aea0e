import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** A request for a tunnel, as the proxy received it. */
export interface Tunnel {
  /** `host:port` */
  readonly target: string;
  /** `user:password`, or null without. */
  readonly credentials: string | null;
}

/** An HTTP proxy of a network whose names only the proxy can resolve. */
export interface TunnelProxy {
  readonly port: number;
  /** The requests, in order. */
  readonly tunnels: readonly Tunnel[];
  close(): Promise<void>;
}

/**
 * Starts a proxy on a loopback port that tunnels (HTTP's CONNECT, RFC 9110, 9.3.6) only to the loopback ports in
 * `routes`, which maps `host:port`. With `credentials` it refuses clients without them.
 */
export async function startProxy({
  routes,
  credentials = null,
}: {
  routes: Readonly<Record<string, number>>;
  credentials?: string | null;
}): Promise<TunnelProxy> {
  const tunnels: Tunnel[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((_, response) => response.writeHead(405).end());
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.on('connect', (request, socket: Socket, head) => {
    const target = request.url ?? '';
    const given = readCredentials(request.headers['proxy-authorization']);
    tunnels.push({ target, credentials: given });
    const port = routes[target];
    socket.on('error', () => socket.destroy());
    if (credentials !== null && given !== credentials) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n');
    } else if (port === undefined) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    } else {
      const upstream = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        upstream.write(head);
        socket.pipe(upstream).pipe(socket);
      });
      sockets.add(upstream);
      upstream.on('error', () => socket.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    tunnels,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function readCredentials(header: string | undefined): string | null {
  const encoded = /^Basic (.+)$/.exec(header ?? '')?.[1];
  return encoded === undefined ? null : Buffer.from(encoded, 'base64').toString();
}
