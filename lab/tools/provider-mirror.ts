import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { join } from 'node:path';

const PLUGIN = join(import.meta.dirname, '..', 'aws', 'plugin.ts');

/** A folder from which Terraform installs the AWS emulator as a provider, release by release. */
export interface ProviderMirror {
  /** For TF_CLI_CONFIG_FILE: makes the mirror the only source of providers. */
  readonly configFile: string;
  /** Publishes a version, e.g. `6.8.0`; all versions behave the same on one world. `bytes` changes its program. */
  release(version: string, options?: { bytes?: string }): void;
  /** Withdraws a version. */
  withdraw(version: string): void;
  /** Returns and clears the log of calls to the version's program, e.g. `ApplyResourceChange aws_vpc`. */
  takeCalls(version: string): string[];
}

/** Makes an empty mirror in `folder`, in front of a world without machines in the same folder. */
export function createProviderMirror(folder: string): ProviderMirror {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const configFile = join(folder, 'terraform.rc');
  const mirror = join(folder, 'mirror');
  mkdirSync(mirror, { recursive: true });
  // Terraform asks its plugins for a certificate of `localhost`.
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
      ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
      ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate],
    ],
    { stdio: 'pipe' },
  );
  writeFileSync(
    configFile,
    `provider_installation {
  filesystem_mirror {
    path    = ${JSON.stringify(mirror)}
    include = ["registry.terraform.io/hashicorp/aws"]
  }
}
`,
  );
  const host = `${platform()}_${arch() === 'x64' ? 'amd64' : arch()}`;
  const locate = (version: string): string =>
    join(mirror, 'registry.terraform.io', 'hashicorp', 'aws', version);
  const locateLog = (version: string): string => join(folder, `provider-${version}.log`);
  return {
    configFile,
    release(version, { bytes = '' } = {}) {
      const directory = join(locate(version), host);
      mkdirSync(directory, { recursive: true });
      const options = {
        directory: join(folder, 'world'),
        log: locateLog(version),
        key,
        certificate,
      };
      const given = Object.entries(options).map(([name, value]) => `--${name} '${value}'`);
      const program = `#!/bin/sh\n# ${bytes}\nexec '${process.execPath}' '${PLUGIN}' ${given.join(' ')}\n`;
      writeFileSync(join(directory, `terraform-provider-aws_v${version}_x5`), program, {
        mode: 0o755,
      });
    },
    withdraw: (version) => rmSync(locate(version), { recursive: true }),
    takeCalls(version) {
      const log = locateLog(version);
      if (!existsSync(log)) return [];
      const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
      rmSync(log);
      return lines.map((line) => line.split(' ').slice(1, 3).join(' ').trim());
    },
  };
}
