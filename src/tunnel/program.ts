// The program that ssh starts as its ProxyCommand, in a bundle of its own: `node tunnel.mjs SOCKET ADDRESS PORT`. It asks
// the broker in the action's process for a signed URL and carries ssh's bytes over a WebSocket. It has no credentials.
import { Agent } from 'node:https';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { createWebSocketStream, WebSocket } from 'ws';
import {
  MAX_BODY,
  type TunnelAnswer,
  type TunnelClosure,
  type TunnelRequest,
  type TunnelResult,
} from './message.ts';

/** How long the endpoint may take to answer the handshake, in ms. */
const HANDSHAKE_MS = 15_000;
/** How long the endpoint may take to confirm the end of a tunnel, in ms. */
const CLOSE_MS = 1_000;
/** The most bytes in a frame, as in the AWS CLI (`websocket.py`). */
const MAX_FRAME = 65_000;
/** RFC 6455, section 7.4.1: normal closure. */
const NORMAL = 1000;

/** The broker's end of the socket, as lines. */
class Broker {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(path: string) {
    this.#socket = connect(path);
    const lines = createInterface({ input: this.#socket });
    this.#lines = lines[Symbol.asyncIterator]();
    // readline sees only an orderly end.
    this.#socket.on('error', () => {}).once('close', () => lines.close());
  }

  tell(message: TunnelRequest | TunnelResult | TunnelClosure): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  async hear(): Promise<TunnelAnswer> {
    const { value, done } = await this.#next();
    if (done) throw new Error('the action that started this has ended');
    return JSON.parse(value) as TunnelAnswer;
  }

  /** Settles when the broker is gone. */
  async end(): Promise<void> {
    while (!(await this.#next()).done);
  }

  #next(): Promise<IteratorResult<string, undefined>> {
    return this.#lines.next().catch(() => ({ done: true, value: undefined }));
  }

  /** Ends the connection, once what was told is written. */
  async close(): Promise<void> {
    if (this.#socket.closed) return;
    await new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.destroySoon();
    });
  }
}

/** A URL that did not lead to a tunnel. */
class Failure extends Error {
  readonly result: TunnelResult;

  constructor(result: TunnelResult) {
    super(result.kind);
    this.result = result;
  }
}

/** Starts to connect. An invalid URL of the endpoint, or of the proxy, is thrown at once, with all of it in the message. */
function connectTo(url: string): WebSocket {
  try {
    return new WebSocket(url, {
      // From Node 24.5 on, the agent uses the proxy that the environment names.
      agent: new Agent({ proxyEnv: process.env }),
      handshakeTimeout: HANDSHAKE_MS,
      perMessageDeflate: false,
      headers: { 'user-agent': 'postgres-cluster-action' },
    });
  } catch (error) {
    throw new Failure({
      kind: 'error',
      code: (error as NodeJS.ErrnoException).code ?? 'INVALID_URL',
    });
  }
}

/** Opens the WebSocket, and leaves it paused. The messages of errors may contain the URL, so only their codes are passed on. */
async function open(url: string): Promise<WebSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const socket = connectTo(url);
  socket.once('open', () => {
    // What comes with the answer to the handshake waits for its reader. `carry` resumes the WebSocket.
    socket.pause();
    resolve(socket);
  });
  socket.once('unexpected-response', async (_, response) => {
    let body = '';
    response.setEncoding('utf8');
    response.setTimeout(HANDSHAKE_MS, () => response.destroy());
    try {
      for await (const part of response) {
        body += part;
        if (body.length > MAX_BODY) break;
      }
    } catch {
      // The status alone has to do.
    }
    const { statusCode: status = 0 } = response;
    reject(new Failure({ kind: 'status', status, body: body.slice(0, MAX_BODY) }));
    socket.terminate();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const isLate = error.message.includes('handshake has timed out');
    reject(new Failure({ kind: 'error', code: isLate ? 'ETIMEDOUT' : (error.code ?? 'UNKNOWN') }));
  });
  return promise;
}

/** Asks until a URL leads to a tunnel. */
async function openTunnel(broker: Broker, request: TunnelRequest): Promise<WebSocket> {
  broker.tell(request);
  for (;;) {
    const answer = await broker.hear();
    if ('refused' in answer) throw new Error(answer.refused);
    try {
      const socket = await open(answer.url);
      broker.tell({ kind: 'open' });
      return socket;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      broker.tell(error.result);
    }
  }
}

async function* inFrames(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    for (let start = 0; start < chunk.length; start += MAX_FRAME)
      yield chunk.subarray(start, start + MAX_FRAME);
  }
}

/** Carries bytes until one end closes. Both directions wait for the slower side. Returns how the WebSocket ended. */
async function carry(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString('utf8') }));
  });
  const stream = createWebSocketStream(socket);
  const outward = pipeline(process.stdin, inFrames, stream, { end: false });
  const inward = pipeline(stream, process.stdout);
  // ssh is gone, or the WebSocket: either ends both.
  await Promise.race([outward, inward]).catch(() => {});
  if (socket.readyState === WebSocket.OPEN) socket.close(NORMAL);
  setTimeout(() => socket.terminate(), CLOSE_MS).unref();
  const end = await closed;
  await inward.catch(() => {});
  return end;
}

async function run([path = '', address = '', port = '']: readonly string[]): Promise<void> {
  const broker = new Broker(path);
  const socket = await openTunnel(broker, { address, port: Number(port) });
  // No tunnel outlives the action: the endpoint has few.
  void broker.end().then(() => socket.terminate());
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => socket.close(NORMAL));
  let isSsh = false;
  process.stdin.once('end', () => {
    isSsh = true;
  });
  // Without an answer of the node, the endpoint has not reached it.
  let hasAnswer = false;
  socket.once('message', () => {
    hasAnswer = true;
  });
  const { code, reason } = await carry(socket);
  const isCut = !isSsh && code !== NORMAL;
  if (isCut && hasAnswer) broker.tell({ kind: 'closed', code, reason });
  await broker.close();
  if (isCut) throw new Error(`the endpoint closed the tunnel: ${reason || code}`);
}

try {
  await run(process.argv.slice(2));
  process.exit(0);
} catch (error) {
  const message = (error as Error).message.replaceAll(/[^ -~]+/g, ' ');
  process.stderr.write(`tunnel: ${message}\n`, () => process.exit(1));
}
