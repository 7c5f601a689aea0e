import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listRegions } from '../catalogue/regions.ts';

/** A key and its certificate, in PEM. */
export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
  /** The certificate's file, for NODE_EXTRA_CA_CERTS: no client trusts it by default. */
  readonly file: string;
}

/** Returns the certificate of a world's endpoints, for the loopback address and for the names of `nameEndpoint`. */
export function ensureCertificate(folder: string): Certificate {
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    const names = listRegions().map((region) => `DNS:${nameEndpoint('*', region)}`);
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-nodes', '-days', '3650', '-subj', '/CN=lab'],
        ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
        ...['-addext', `subjectAltName=${['IP:127.0.0.1', ...names].join()}`],
        ...['-keyout', keyFile, '-out', file],
      ],
      { stdio: 'pipe' },
    );
  }
  return { key: readFileSync(keyFile), cert: readFileSync(file), file };
}

/** The DNS name of an endpoint; on EC2 the middle part depends on the account. */
export function nameEndpoint(id: string, region: string): string {
  return `${id}.0123abcd.ec2-instance-connect-endpoint.${region}.amazonaws.com`;
}
