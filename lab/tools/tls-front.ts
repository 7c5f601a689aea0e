import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as ask } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** HTTPS in front of HTTP servers, with a certificate that no client trusts by default. */
export interface TlsFront {
  readonly port: number;
  /** The certificate as a PEM file, for NODE_EXTRA_CA_CERTS. */
  readonly certificateFile: string;
  /** The requested addresses, in order. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Starts HTTPS on a loopback port; `hosts` maps each host name to a loopback port. */
export async function startTlsFront(hosts: Readonly<Record<string, number>>): Promise<TlsFront> {
  const folder = mkdtempSync(join(tmpdir(), 'tls-front-'));
  const [key, certificateFile] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const names = Object.keys(hosts).map((host) => `DNS:${host}`);
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=lab'],
      ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
      ...['-addext', `subjectAltName=${names.join()}`, '-keyout', key, '-out', certificateFile],
    ],
    { stdio: 'pipe' },
  );
  const requests: string[] = [];
  const server = createServer(
    { key: readFileSync(key), cert: readFileSync(certificateFile) },
    (request, response) => {
      const { method, url: path, headers } = request;
      requests.push(`https://${headers.host}${path}`);
      const port = hosts[headers.host ?? ''] ?? 0;
      const inner = ask({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      inner.on('error', () => response.destroy());
      request.pipe(inner);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    certificateFile,
    requests,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true });
    },
  };
}
