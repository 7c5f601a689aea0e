import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadPackageDefinition, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Method } from './provider.ts';

/** A provider that Terraform can reach. */
export interface ProviderServer {
  /** The value of TF_REATTACH_PROVIDERS. */
  readonly reattach: string;
  stop(): Promise<void>;
}

const ADDRESS = 'registry.terraform.io/hashicorp/aws';

function loadService() {
  const definition = loadSync(join(import.meta.dirname, 'terraform5.proto'), {
    keepCase: true,
    longs: Number,
  });
  const { tfplugin5 } = loadPackageDefinition(definition) as unknown as {
    tfplugin5: { Provider: { service: Parameters<Server['addService']>[0] } };
  };
  return tfplugin5.Provider.service;
}

/** One line per call: time, method, type, duration, and the error. */
function writeLog(
  log: string,
  entry: { name: string; type: string; started: number; response: object },
): void {
  const { name, type, started, response } = entry;
  const problems = (response as { diagnostics?: { summary: string }[] }).diagnostics ?? [];
  const took = (performance.now() - started).toFixed(1);
  const tail = problems.map(({ summary }) => ` ! ${summary}`).join('');
  appendFileSync(log, `${new Date().toISOString()} ${name} ${type} ${took} ms${tail}\n`);
}

/** Registers the methods of the plugin protocol with an unbound server; calls are logged to the file. */
export function createProviderServer(
  methods: { readonly [name: string]: Method },
  { log }: { log: string },
): Server {
  mkdirSync(dirname(log), { recursive: true });
  // A whole schema or state is one message.
  const size = 64 * 1024 * 1024;
  const server = new Server({
    'grpc.max_receive_message_length': size,
    'grpc.max_send_message_length': size,
  });
  const handlers = Object.entries(methods).map(([name, method]) => {
    const handle = async (
      { request }: { request: Parameters<Method>[0] },
      answer: (error: object | null, response?: object) => void,
    ) => {
      const started = performance.now();
      try {
        const response = await method(request);
        writeLog(log, { name, type: request.type_name ?? '', started, response });
        answer(null, response);
      } catch (error) {
        const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
        writeLog(log, {
          name,
          type: request.type_name ?? '',
          started,
          response: { diagnostics: [{ summary: details }] },
        });
        answer({ code: status.INTERNAL, details });
      }
    };
    return [name, handle];
  });
  server.addService(loadService(), Object.fromEntries(handlers));
  return server;
}

/** Binds a server; returns its port, 0 for a socket. Throws if the address cannot be bound. */
export function bindServer(
  server: Server,
  address: string,
  credentials: ServerCredentials,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

/**
 * Serves the methods over gRPC on a Unix socket, as Terraform expects from a provider that runs under a debugger.
 * Calls are logged to the file. Throws if the socket cannot be bound.
 */
export async function serveProvider(
  methods: { readonly [name: string]: Method },
  { socket, log }: { socket: string; log: string },
): Promise<ProviderServer> {
  rmSync(socket, { force: true });
  const server = createProviderServer(methods, { log });
  await bindServer(server, `unix:${socket}`, ServerCredentials.createInsecure());
  const reattach = {
    [ADDRESS]: {
      Protocol: 'grpc',
      ProtocolVersion: 5,
      Pid: process.pid,
      Test: true,
      Addr: { Network: 'unix', String: socket },
    },
  };
  return {
    reattach: JSON.stringify(reattach),
    stop: async () => {
      server.forceShutdown();
      rmSync(socket, { force: true });
    },
  };
}
