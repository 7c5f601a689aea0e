// The emulator as a program that Terraform starts like the real provider: installed from a mirror, verified against
// a lock file, connected over mutual TLS (go-plugin's handshake). It serves a world without machines.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ServerCredentials } from '@grpc/grpc-js';
import { noCompute } from './compute/compute.ts';
import { Provider } from './provider.ts';
import { bindServer, createProviderServer } from './server.ts';
import { World } from './world.ts';

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: '' },
    log: { type: 'string', default: '' },
    key: { type: 'string', default: '' },
    certificate: { type: 'string', default: '' },
  },
});
const client = process.env.PLUGIN_CLIENT_CERT;
if (client === undefined) {
  console.error('This is a provider: Terraform starts it.');
  process.exit(1);
}
const certificate = readFileSync(values.certificate);
const world = new World(values.directory, '10.99.0.0/16');
const server = createProviderServer(new Provider(world, noCompute).methods, { log: values.log });
const pass = (bytes: Buffer): Buffer => bytes;
// Terraform says that it no longer needs the program; without an answer it waits and then kills it.
server.addService(
  {
    Shutdown: {
      path: '/plugin.GRPCController/Shutdown',
      requestStream: false,
      responseStream: false,
      requestSerialize: pass,
      requestDeserialize: pass,
      responseSerialize: pass,
      responseDeserialize: pass,
    },
  },
  {
    Shutdown: (_: unknown, answer: (error: null, response: Buffer) => void) => {
      answer(null, Buffer.alloc(0));
      server.tryShutdown(() => process.exit(0));
    },
  },
);
const credentials = ServerCredentials.createSsl(
  Buffer.from(client),
  [{ private_key: readFileSync(values.key), cert_chain: certificate }],
  true,
);
const port = await bindServer(server, '127.0.0.1:0', credentials);
const base64 = certificate.toString().replace(/-----[^-]+-----|[\s=]/g, '');
console.log(`1|5|tcp|127.0.0.1:${port}|grpc|${base64}`);
