import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { arch, platform, tmpdir } from 'node:os';
import { join } from 'node:path';

/** A server with the layout of releases.hashicorp.com and one release of a Terraform that only prints its version. */
export interface ReleaseMirror {
  readonly url: string;
  readonly port: number;
  /** The requested paths, in order. */
  readonly requests: readonly string[];
  /** SHA-256 of its archives, by platform: replaces HashiCorp's in the action. */
  readonly sums: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Starts a mirror of that version on a loopback port. */
export async function startMirror({ version }: { version: string }): Promise<ReleaseMirror> {
  const host = `${platform()}_${arch() === 'x64' ? 'amd64' : arch()}`;
  const archive = `terraform_${version}_${host}.zip`;
  const content = packTerraform(version);
  const sum = createHash('sha256').update(content).digest('hex');
  const files: Record<string, Buffer | string> = {
    [`/terraform/${version}/${archive}`]: content,
    // Like HashiCorp's. An attacker who can change the archive there can change this as well.
    [`/terraform/${version}/terraform_${version}_SHA256SUMS`]: `${sum}  ${archive}\n`,
  };
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    requests.push(path);
    response.writeHead(files[path] === undefined ? 404 : 200).end(files[path]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    sums: { [host]: sum },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const archives = new Map<string, Buffer>();

function packTerraform(version: string): Buffer {
  const known = archives.get(version);
  if (known) return known;
  const folder = mkdtempSync(join(tmpdir(), 'release-mirror-'));
  writeFileSync(join(folder, 'terraform'), `#!/bin/sh\necho 'Terraform v${version}'\n`);
  // Python is on every machine that runs Ansible, zip is not.
  const script = `import zipfile
info = zipfile.ZipInfo('terraform'); info.external_attr = 0o100755 << 16
zipfile.ZipFile('archive.zip', 'w').writestr(info, open('terraform').read())`;
  execFileSync('python3', ['-c', script], { cwd: folder });
  const archive = readFileSync(join(folder, 'archive.zip'));
  rmSync(folder, { recursive: true });
  archives.set(version, archive);
  return archive;
}
