import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import { ApiError } from '../api-error.ts';
import { type AccessKey, LAB_KEY, verifyPresigned } from '../query/signature.ts';
import type { Context } from '../resource.ts';
import { ensureCertificate } from './certificate.ts';
import { readRequest, STATUSES, type Tunnel } from './request.ts';
import { makeThrottle } from './throttle.ts';

/** WebSocket close codes (RFC 6455, 7.4.1). The AWS CLI shows the reason of every code but 1000. */
const [NORMAL, UNSUPPORTED, POLICY, FAILURE] = [1000, 1003, 1008, 1011];

/** Closes a tunnel whose time is over. */
const expire = (webSocket: WebSocket) =>
  webSocket.close(POLICY, 'The maximum tunnel duration has been reached');

/** One request for a tunnel. */
export interface TunnelRecord {
  readonly endpoint: string;
  /** `10.0.1.4:22` */
  readonly target: string;
  /** The code of the refusal, null if the tunnel was opened. */
  readonly refusal: string | null;
  /** How many tunnels the endpoint had, this one included. */
  readonly open: number;
}

/** The running service behind all endpoints of a world. */
export interface TunnelServer {
  /** `127.0.0.1:34567`: where the endpoints' DNS names lead. */
  readonly address: string;
  /** The certificate's file, for NODE_EXTRA_CA_CERTS. */
  readonly certificateFile: string;
  /** All requests so far, in order. */
  readonly records: readonly TunnelRecord[];
  /** Closes all open tunnels, as if the time of each were over; returns how many. */
  cut(): number;
  /** Ends all tunnels. */
  stop(): Promise<void>;
}

/**
 * Serves AWS's openTunnel protocol, as the AWS CLI speaks it (`awscli/customizations/ec2instanceconnect`): a WebSocket
 * with a presigned URL, then bytes in binary frames. A refusal is the answer to the handshake: a status and JSON with
 * ErrorCode and Message. A target that cannot be reached closes the WebSocket.
 */
export async function serveTunnels(
  context: Omit<Context, 'region'>,
  key: AccessKey = LAB_KEY,
): Promise<TunnelServer> {
  const { world } = context;
  const { file, ...certificate } = ensureCertificate(join(world.directory, 'instance-connect'));
  const sockets = new WebSocketServer({ noServer: true });
  const open = new Map<string, number>();
  const countOpen = (endpoint: string) => open.get(endpoint) ?? 0;
  const records: TunnelRecord[] = [];
  const server = createServer(certificate, (_, response) => response.writeHead(426).end());
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const parameters = new URLSearchParams(request.url?.split('?')[1]);
    const endpoint = parameters.get('instanceConnectEndpointId') ?? '';
    const target = `${parameters.get('privateIpAddress')}:${parameters.get('remotePort')}`;
    const note = (refusal: string | null) =>
      records.push({ endpoint, target, refusal, open: countOpen(endpoint) });
    let tunnel: Tunnel;
    try {
      const region = authenticate(request, key, world.clock.now());
      tunnel = readRequest(parameters, { world, region }, countOpen);
    } catch (error) {
      note(refuse(socket, error));
      return;
    }
    open.set(endpoint, countOpen(endpoint) + 1);
    note(null);
    let isOver = false;
    const release = () => {
      if (!isOver) open.set(endpoint, countOpen(endpoint) - 1);
      isOver = true;
    };
    socket.on('close', release);
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('close', release);
      void carry(webSocket, tunnel, context);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    certificateFile: file,
    records,
    cut() {
      const tunnels = [...sockets.clients].filter(({ readyState, OPEN }) => readyState === OPEN);
      for (const one of tunnels) expire(one);
      return tunnels.length;
    },
    async stop() {
      for (const one of sockets.clients) one.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function authenticate(request: IncomingMessage, key: AccessKey, now: number): string {
  const { method = '', url: target = '/', headers } = request;
  if (!target.startsWith('/openTunnel?'))
    throw new ApiError('ResourceNotFoundException', `There is no ${target.split('?')[0]}.`);
  const service = 'ec2-instance-connect';
  return verifyPresigned({ method, target, headers, body: '' }, { key, now, service });
}

/** Answers the handshake; returns the code of the refusal. */
function refuse(socket: Duplex, error: unknown): string {
  const { code, message } =
    error instanceof ApiError ? error : { code: 'InternalServerException', message: String(error) };
  const status = error instanceof ApiError ? (STATUSES[code] ?? 400) : 500;
  const body = JSON.stringify({ ErrorCode: code, Message: message });
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `x-amzn-RequestId: ${randomUUID()}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
  return code;
}

/** Carries bytes between the WebSocket and the target until one of them ends, or the tunnel's time is over. */
async function carry(
  webSocket: WebSocket,
  { endpoint, address, port, seconds }: Tunnel,
  { world, compute }: Omit<Context, 'region'>,
): Promise<void> {
  const stream = createWebSocketStream(webSocket);
  stream.on('error', () => {});
  webSocket.on('message', (_, isBinary) => {
    if (!isBinary) webSocket.close(UNSUPPORTED, 'Only binary frames are accepted');
  });
  const timer = setTimeout(() => expire(webSocket), seconds * 1000);
  webSocket.on('close', () => clearTimeout(timer));
  let target: Duplex;
  try {
    target = await compute.dial(endpoint, address, port);
  } catch {
    webSocket.close(FAILURE, 'Unable to connect to target');
    return;
  }
  webSocket.on('close', () => target.destroy());
  if (webSocket.readyState !== webSocket.OPEN) target.destroy();
  const { throttle } = world.tables;
  // Not `pipeline`: it would drop what a target that has ended said last, and is still throttled.
  stream.pipe(makeThrottle(throttle)).pipe(target);
  const back = makeThrottle(throttle);
  target.pipe(back);
  target.on('error', () => {}).on('close', () => back.end());
  // Not into the stream itself: its end would close the WebSocket without a code.
  back.on('end', () => webSocket.close(NORMAL));
  back.on('data', (chunk: Buffer) => {
    back.pause();
    webSocket.send(chunk, () => back.resume());
  });
}
