import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';

/** A server of WebSockets over TLS whose certificate no client trusts by default. */
export interface FakeEndpoint {
  readonly port: number;
  /** The certificate as a PEM file, for NODE_EXTRA_CA_CERTS. */
  readonly certificateFile: string;
  /** The paths that were asked for. */
  readonly requests: readonly string[];
  /** Tunnels that are open. */
  readonly open: ReadonlySet<WebSocket>;
  close(): Promise<void>;
}

/** What an endpoint does with a tunnel, or the status and the body with which it refuses one. */
export type Behaviour = ((socket: WebSocket) => void) | { status: number; body: string };

/** Starts an endpoint for `names`; `choose` gets each request. */
export async function startFakeEndpoint(
  names: readonly string[],
  choose: (request: IncomingMessage) => Behaviour,
): Promise<FakeEndpoint> {
  const folder = mkdtempSync(join(tmpdir(), 'pgca-endpoint-'));
  const [key, certificateFile] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=endpoint'],
      ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
      ...['-addext', `subjectAltName=${names.join()}`, '-keyout', key, '-out', certificateFile],
    ],
    { stdio: 'pipe' },
  );
  const sockets = new WebSocketServer({ noServer: true });
  const requests: string[] = [];
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificateFile) });
  server.on('upgrade', (request, socket: Socket, head) => {
    requests.push(request.url ?? '');
    socket.on('error', () => socket.destroy());
    const behaviour = choose(request);
    if (typeof behaviour === 'function') {
      // What the behaviour sends at once arrives together with the answer to the handshake.
      socket.cork();
      sockets.handleUpgrade(request, socket, head, (tunnel) => {
        tunnel.on('error', () => {});
        behaviour(tunnel);
      });
      socket.uncork();
      return;
    }
    const { status, body } = behaviour;
    socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    certificateFile,
    requests,
    open: sockets.clients,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true });
    },
  };
}
