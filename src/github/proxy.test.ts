import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { startProxy, type TunnelProxy } from '../../lab/tools/proxy.ts';
import { type ReleaseMirror, startMirror } from '../../lab/tools/release-mirror.ts';
import { startTlsFront, type TlsFront } from '../../lab/tools/tls-front.ts';
import { INSTALLED_VERSION } from '../terraform/install.ts';

// Each test starts processes, which is slow on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

const GITHUB = 'github.example.test';
const RELEASES = 'releases.example.test';
const API = `https://${GITHUB}/api/v3`;

let github: GitHub;
let mirror: ReleaseMirror;
let front: TlsFront;
let proxy: TunnelProxy;
let folder: string;

/** Starts the proxy of a network without other access. */
const start = (credentials: string | null = null) =>
  startProxy({
    routes: { [`${GITHUB}:443`]: front.port, [`${RELEASES}:443`]: front.port },
    credentials,
  });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'proxy-test-'));
  [github, mirror] = await Promise.all([
    startGitHub(),
    startMirror({ version: INSTALLED_VERSION }),
  ]);
  const githubPort = Number(new URL(github.urls.server).port);
  front = await startTlsFront({ [GITHUB]: githubPort, [RELEASES]: mirror.port });
  proxy = await start();
});

afterEach(async () => {
  await Promise.all([proxy.close(), front.close(), github.stop(), mirror.close()]);
  rmSync(folder, { recursive: true });
});

/** Runs a part of the action in a process with this environment; returns its last line as JSON. */
async function run(
  args: readonly string[],
  env: Record<string, string>,
): Promise<Record<string, string>> {
  const script = join(import.meta.dirname, '../../lab/tools/outbound.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
    env: {
      PATH: process.env.PATH,
      NODE_EXTRA_CA_CERTS: front.certificateFile,
      GITHUB_API_URL: API,
      RUNNER_TEMP: join(folder, 'temp'),
      RUNNER_TOOL_CACHE: join(folder, 'cache'),
      ...env,
    },
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

const ask = (env: Record<string, string>) =>
  run(['ask', API, github.createToken({ permissions: { contents: 'read' } })], env);
const address = () => `http://127.0.0.1:${proxy.port}`;
const ANSWER = { repository: 'acme/database', login: 'github-actions[bot]' };

describe('the API of an enterprise server with its own certificate is reached', () => {
  test.each(['https_proxy', 'HTTPS_PROXY'])('through %s, REST and GraphQL', async (variable) => {
    expect(await ask({ [variable]: address() })).toEqual(ANSWER);
    expect(new Set(proxy.tunnels.map(({ target }) => target))).toEqual(new Set([`${GITHUB}:443`]));
    expect(front.requests).toEqual([`${API}/repos/acme/database`, `https://${GITHUB}/api/graphql`]);
  });

  test('through a proxy that requires a name and a password', async () => {
    await proxy.close();
    proxy = await start('team:p@ss word');
    const named = address().replace('//', '//team:p%40ss%20word@');
    expect(await ask({ https_proxy: named })).toEqual(ANSWER);
    const refused = await ask({ https_proxy: named.replace('p%40ss', 'wrong') });
    // Refused by the proxy: nothing reached the server.
    expect(refused.error).toMatch(/^HttpError: /);
    expect(refused.login).toBeUndefined();
    expect(front.requests).toHaveLength(2);
    expect(JSON.stringify(refused)).not.toContain('wrong');
  });

  test.each(['no_proxy', 'NO_PROXY'])('directly if %s contains its host', async (name) => {
    // The host is unknown without the proxy.
    const { error } = await ask({ https_proxy: address(), [name]: `other.test,${GITHUB}` });
    expect(error).toMatch(/ENOTFOUND|EAI_AGAIN|fetch failed/);
    expect(proxy.tunnels).toEqual([]);
  });

  test('not with an untrusted certificate', async () => {
    const { error } = await ask({ https_proxy: address(), NODE_EXTRA_CA_CERTS: '' });
    expect(error).toMatch(/certificate/i);
    expect(proxy.tunnels).not.toEqual([]);
    expect(front.requests).toEqual([]);
  });
});

test('Terraform is installed through the proxy', async () => {
  const env = { https_proxy: address() };
  const sums = JSON.stringify(mirror.sums);
  const { path = '' } = await run(['install', `https://${RELEASES}`, sums], env);
  expect(path).toContain(join(folder, 'cache'));
  expect(execFileSync(path, { encoding: 'utf8' })).toBe(`Terraform v${INSTALLED_VERSION}\n`);
  expect(mirror.requests).toHaveLength(1);
  expect(proxy.tunnels.map(({ target }) => target)).toEqual([`${RELEASES}:443`]);
});
