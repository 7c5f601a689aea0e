import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { TunnelSigner } from '../aws/sign-tunnel.ts';
import { UserError } from '../messages/errors.ts';
import { Slots } from '../process/slots.ts';
import { explainClosure, explainResult } from './explain-result.ts';
import {
  MAX_BODY,
  MAX_LINE,
  type TunnelAnswer,
  type TunnelClosure,
  type TunnelResult,
} from './message.ts';

/** How long a tunnel may take to open, in ms; shorter than ssh waits (`ANSIBLE_TIMEOUT`). */
const PATIENCE_MS = 25_000;
/** The first pause before another attempt, in ms; each one is twice as long. */
const PAUSE_MS = 500;
/** Connections to the socket at the same time; more are refused. */
const MAX_CLIENTS = 128;
const SSH_PORT = 22;

const requestSchema = z.object({ address: z.string().max(64), port: z.number() });
const resultSchema: z.ZodType<TunnelResult> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('open') }),
  z.object({
    kind: z.literal('status'),
    status: z.int().min(0).max(999),
    body: z.string().max(MAX_BODY),
  }),
  z.object({ kind: z.literal('error'), code: z.string().regex(/^\w{1,60}$/) }),
]);
const closureSchema: z.ZodType<TunnelClosure> = z.object({
  kind: z.literal('closed'),
  code: z.int().min(0).max(4999),
  // RFC 6455, section 5.5: at most 123 bytes.
  reason: z.string().max(123),
});

/** What a broker needs. */
export interface BrokerOptions {
  /** Path of the Unix socket, in a folder that only this user may enter. */
  readonly path: string;
  /** The endpoint, for messages. */
  readonly endpoint: { readonly id: string; readonly host: string };
  /** Throws a `UserError` if nothing can be signed. The words of another error are not shown. */
  readonly sign: TunnelSigner;
  /** Tunnels at the same time; more wait. */
  readonly limit: number;
  readonly patienceMs?: number;
}

/**
 * Signs URLs for the tunnel programs that ssh starts, so that the credentials stay in this process. It signs only for
 * port 22 of admitted addresses, and remembers why tunnels failed: ssh hides what the programs print.
 */
export class TunnelBroker {
  readonly #options: BrokerOptions;
  readonly #server: Server;
  readonly #slots: Slots;
  readonly #sockets = new Set<Socket>();
  /** Why the last tunnel to an address could not be opened. */
  readonly #causes = new Map<string, string>();
  /** How a tunnel to an address ended too early, and when, in ms since 1970: the last one that did. */
  readonly #closures = new Map<string, { cause: string; time: number }>();
  #admitted: ReadonlySet<string> = new Set();

  /** Starts a broker that admits no address yet. */
  static async start(options: BrokerOptions): Promise<TunnelBroker> {
    const broker = new TunnelBroker(options);
    await new Promise<void>((resolve, reject) => {
      broker.#server.once('error', reject).listen(options.path, resolve);
    });
    return broker;
  }

  private constructor(options: BrokerOptions) {
    this.#options = options;
    this.#slots = new Slots(options.limit);
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      // Its end is the end of the lines.
      socket.on('error', () => {});
      void this.#serve(socket).finally(() => {
        this.#sockets.delete(socket);
        socket.destroySoon();
      });
    });
    this.#server.maxConnections = MAX_CLIENTS;
  }

  /** Sets the only addresses that tunnels may lead to. */
  admit(addresses: readonly string[]): void {
    this.#admitted = new Set(addresses);
  }

  /** Returns why the last tunnel to an address could not be opened, as sentences; null if it was, or never was tried. */
  findCause(address: string): string | null {
    return this.#causes.get(address) ?? null;
  }

  /**
   * Returns how a tunnel to an address ended before ssh ended it, at `since` (ms since 1970) or later, as sentences; null
   * if none did. Tunnels that were opened meanwhile do not change it.
   */
  findClosure(address: string, since: number): string | null {
    const closure = this.#closures.get(address);
    return closure !== undefined && closure.time >= since ? closure.cause : null;
  }

  /** Ends all tunnels. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(socket: Socket): Promise<void> {
    const gone = new AbortController();
    socket.once('close', () => gone.abort());
    const answer = (message: TunnelAnswer) => socket.write(`${JSON.stringify(message)}\n`);
    const lines = readLines(socket);
    const request = requestSchema.safeParse(await readJson(lines));
    if (!request.success) return;
    const { address, port } = request.data;
    if (!this.#admitted.has(address) || port !== SSH_PORT) {
      answer({ refused: 'tunnels lead to port 22 of the nodes of this cluster, and nowhere else' });
      return;
    }
    const { patienceMs = PATIENCE_MS } = this.#options;
    const deadline = Date.now() + patienceMs;
    const fail = (cause: string) => {
      this.#causes.set(address, cause);
      answer({ refused: cause });
    };
    const release = await this.#slots.take(
      AbortSignal.any([gone.signal, AbortSignal.timeout(patienceMs)]),
    );
    if (release === null) {
      if (!gone.signal.aborted)
        fail(`This run has ${this.#options.limit} tunnels open, and none ended in time.`);
      return;
    }
    try {
      const outcome = await this.#open(address, { lines, answer, deadline, gone: gone.signal });
      if (outcome === 'gone') return;
      if (outcome !== 'open') return fail(outcome.cause);
      this.#causes.delete(address);
      const closure = closureSchema.safeParse(await readJson(lines)).data;
      if (closure !== undefined) {
        const cause = explainClosure(closure, this.#options.endpoint.id);
        this.#closures.set(address, { cause, time: Date.now() });
      }
      // The tunnel is open until its program is gone.
      while (!(await lines.next()).done);
    } finally {
      release();
    }
  }

  /** Gives URLs until one leads to a tunnel. Returns why none did, unless the program is gone. */
  async #open(
    address: string,
    options: {
      lines: AsyncIterator<string>;
      answer: (message: TunnelAnswer) => void;
      deadline: number;
      gone: AbortSignal;
    },
  ): Promise<'open' | 'gone' | { cause: string }> {
    const { lines, answer, deadline, gone } = options;
    const { sign, endpoint } = this.#options;
    for (let pause = PAUSE_MS; ; pause *= 2) {
      try {
        answer({ url: await sign(address) });
      } catch (error) {
        if (error instanceof UserError) return { cause: error.message };
        // Thrown on, it would end the action in the middle of its work.
        const { name } = error as Error;
        return { cause: `A tunnel through ${endpoint.id} could not be signed (${name}).` };
      }
      const result = resultSchema.safeParse(await readJson(lines)).data;
      if (result === undefined) return 'gone';
      if (result.kind === 'open') return 'open';
      const { cause, isTransient } = explainResult(result, endpoint);
      if (!isTransient || Date.now() + pause > deadline) return { cause };
      await sleep(pause, undefined, { signal: gone }).catch(() => {});
      if (gone.aborted) return 'gone';
    }
  }
}

/** The lines of a socket, until its end or a line that is too long. */
async function* readLines(socket: Socket): AsyncGenerator<string> {
  let rest = '';
  socket.setEncoding('utf8');
  try {
    for await (const part of socket) {
      const whole = `${rest}${part}`.split('\n');
      rest = whole.pop() ?? '';
      yield* whole;
      if (rest.length > MAX_LINE) return;
    }
  } catch {
    // The program is gone.
  }
}

async function readJson(lines: AsyncIterator<string>): Promise<unknown> {
  const { value, done } = await lines.next();
  if (done) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
