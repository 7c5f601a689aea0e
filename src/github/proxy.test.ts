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

// Each asks in a process of its own, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

const GITHUB = 'github.example.test';
const RELEASES = 'releases.example.test';
const API = `https://${GITHUB}/api/v3`;

let github: GitHub;
let mirror: ReleaseMirror;
let front: TlsFront;
let proxy: TunnelProxy;
let folder: string;

/** The proxy of a network that reaches nothing without it. */
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

/** Runs a part of the action in a process that has this environment; gives what it printed last. */
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

describe("an enterprise server's API, with a certificate of its own", () => {
  test.each(['https_proxy', 'HTTPS_PROXY'])('through %s, REST and GraphQL', async (variable) => {
    expect(await ask({ [variable]: address() })).toEqual(ANSWER);
    expect(new Set(proxy.tunnels.map(({ target }) => target))).toEqual(new Set([`${GITHUB}:443`]));
    expect(front.requests).toEqual([`${API}/repos/acme/database`, `https://${GITHUB}/api/graphql`]);
  });

  test('through a proxy that wants a name and a password', async () => {
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

  test.each(['no_proxy', 'NO_PROXY'])('not through the proxy, where %s names it', async (name) => {
    // Without the proxy nobody knows the host.
    const { error } = await ask({ https_proxy: address(), [name]: `other.test,${GITHUB}` });
    expect(error).toMatch(/ENOTFOUND|EAI_AGAIN|fetch failed/);
    expect(proxy.tunnels).toEqual([]);
  });

  test('not with a certificate that nobody vouches for', async () => {
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
