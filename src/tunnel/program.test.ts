import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { startProxy } from '../../lab/tools/proxy.ts';
import { TunnelBroker } from './broker.ts';
import { type Behaviour, type FakeEndpoint, startFakeEndpoint } from './fixtures.ts';

// The program as ssh starts it, its broker, and an endpoint that speaks TLS.

vi.setConfig({ testTimeout: 30_000 });

const ADDRESS = '10.42.0.11';
const NAME = 'eice-1.endpoint.example.test';
const ENDPOINT = { id: 'eice-1', host: '127.0.0.1' };
const echo = (socket: WebSocket) => {
  socket.on('message', (data: Buffer) => socket.send(data));
};

let folder: string;
let endpoint: FakeEndpoint;
let behaviour: Behaviour;
let broker: TunnelBroker;
/** Host and port of the signed URLs. */
let target: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgca-'));
  behaviour = echo;
  endpoint = await startFakeEndpoint(['IP:127.0.0.1', `DNS:${NAME}`], () => behaviour);
  target = `127.0.0.1:${endpoint.port}`;
  broker = await startBroker();
});
afterEach(async () => {
  await broker.close();
  await endpoint.close();
  rmSync(folder, { recursive: true });
});

async function startBroker(limit = 8, patienceMs = 5_000): Promise<TunnelBroker> {
  const started = await TunnelBroker.start({
    path: join(folder, `s${limit}`),
    endpoint: ENDPOINT,
    sign: async (address) => `wss://${target}/openTunnel?to=${address}&X-Amz-Signature=secret`,
    limit,
    patienceMs,
  });
  started.admit([ADDRESS]);
  return started;
}

function start(
  args: readonly string[] = [ADDRESS, '22'],
  env: Record<string, string> = {},
  socket = join(folder, 's8'),
) {
  const program = join(import.meta.dirname, 'program.ts');
  const child = spawn(process.execPath, [program, socket, ...args], {
    env: { PATH: process.env.PATH ?? '', NODE_EXTRA_CA_CERTS: endpoint.certificateFile, ...env },
  });
  child.stdin.on('error', () => {});
  const end = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, end, stderr: text(child.stderr) };
}

test('carries 10 MB in both directions, in frames that the endpoint takes, and ends with ssh', async () => {
  let longest = 0;
  behaviour = (socket) =>
    socket.on('message', (data: Buffer) => {
      longest = Math.max(longest, data.length);
      socket.send(data);
    });
  const { child, end, stderr } = start();
  const sent = randomBytes(10 * 1024 * 1024);
  const hash = createHash('sha256');
  let received = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    received += chunk.length;
    if (received === sent.length) child.stdin.end();
  });
  child.stdin.write(sent);
  expect(await end).toBe(0);
  expect(hash.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'));
  expect(longest).toBeLessThanOrEqual(65_000);
  expect(await stderr).toBe('');
  await vi.waitFor(() => expect(endpoint.open.size).toBe(0));
});

test('takes from the endpoint only what a slow reader takes', async () => {
  const chunk = randomBytes(64 * 1024);
  const count = 20 * 16;
  const { promise: waiting, resolve } = Promise.withResolvers<number>();
  behaviour = (socket) => {
    for (let sent = 0; sent < count; sent += 1) socket.send(chunk);
    setTimeout(() => {
      resolve(socket.bufferedAmount);
      socket.close(1000);
    }, 1000);
  };
  const { child, end } = start();
  // Most of the 20 MiB is still where it came from.
  expect(await waiting).toBeGreaterThan(8 * 1024 * 1024);
  const received = await buffer(child.stdout);
  expect(received.length).toBe(count * chunk.length);
  expect(await end).toBe(0);
});

test('gives ssh what came before the endpoint closed, and the reason', async () => {
  behaviour = (socket) => {
    socket.send('SSH-2.0-banner');
    socket.close(1011, 'Unable to connect to target');
  };
  const { child, end, stderr } = start();
  expect((await buffer(child.stdout)).toString()).toBe('SSH-2.0-banner');
  expect(await end).toBe(1);
  expect(await stderr).toBe(
    'tunnel: the endpoint closed the tunnel: Unable to connect to target\n',
  );
});

describe('a tunnel that ends before ssh', () => {
  const answer = (socket: WebSocket) => socket.send('SSH-2.0-banner');
  test.each<[string, (socket: WebSocket) => void, RegExp | null]>([
    [
      'because its time is over',
      (socket) => {
        answer(socket);
        socket.close(1008, 'The time\u202e is over');
      },
      /^eice-1 closed the tunnel \(The time<U\+202E> is over\)\. Run this again\. .*status checks/,
    ],
    [
      'because the network failed',
      (socket) => {
        answer(socket);
        setTimeout(() => socket.terminate(), 200);
      },
      /^The connection to eice-1 was lost\. Run this again\. .*status checks/,
    ],
    [
      'because the node hung up is no fault',
      (socket) => {
        answer(socket);
        socket.close(1000);
      },
      null,
    ],
    // Then the node is at fault, or what lies between.
    [
      'because it did not reach the node',
      (socket) => socket.close(1011, 'Unable to connect to target'),
      null,
    ],
  ])('%s', async (_name, behave, cause) => {
    behaviour = behave;
    const before = Date.now();
    const { end } = start();
    await end;
    const known = () => broker.findClosure(ADDRESS, before);
    if (cause === null) expect(known()).toBeNull();
    else await vi.waitFor(() => expect(known()).toMatch(cause));
    // The question for a node's progress opens another one, while the failed task ends.
    behaviour = echo;
    const next = start();
    next.child.stdin.write('x');
    await new Promise((resolve) => next.child.stdout.once('data', resolve));
    if (cause !== null) expect(known()).toMatch(cause);
    expect(broker.findClosure(ADDRESS, Date.now() + 1)).toBeNull();
    expect(broker.findCause(ADDRESS)).toBeNull();
    next.child.stdin.end();
    await next.end;
  });
});

test('ends with the action', async () => {
  const { child, end } = start();
  child.stdin.write('x');
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await broker.close();
  expect(await end).not.toBe(0);
  await vi.waitFor(() => expect(endpoint.open.size).toBe(0));
  const late = start();
  expect(await late.end).toBe(1);
  expect(await late.stderr).toBe('tunnel: the action that started this has ended\n');
  broker = await startBroker();
});

test('closes its tunnel when it is ended', async () => {
  const { child, end } = start();
  child.stdin.write('x');
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGHUP');
  await end;
  await vi.waitFor(() => expect(endpoint.open.size).toBe(0));
});

describe('is refused', () => {
  test.each<[string, string[]]>([
    ['another address', ['10.42.0.12', '22']],
    ['another port', [ADDRESS, '5432']],
    ['a name', ['10.42.0.11.', '22']],
    ['a command', ['$(id)', '22']],
    ['the metadata service', ['169.254.169.254', '22']],
    ['a long text', ['x'.repeat(20_000), '22']],
    ['a port that is none', [ADDRESS, '22; id']],
    ['nothing', []],
  ])('for %s, and nothing is signed', async (_name, args) => {
    const { end, stderr } = start(args);
    expect(await end).toBe(1);
    expect(await stderr).toMatch(/nowhere else|has ended/);
    expect(endpoint.requests).toEqual([]);
  });

  test.each<[string, { status: number; body: string }, RegExp, number]>([
    [
      'without the permission',
      { status: 403, body: '{"ErrorCode":"AccessDeniedException","Message":"User: x"}' },
      /lacks the permission ec2-instance-connect:OpenTunnel for eice-1/,
      1,
    ],
    ['by something else', { status: 403, body: '<html>' }, /lacks the permission/, 1],
    [
      'with credentials that have expired',
      { status: 403, body: '{"ErrorCode":"ExpiredTokenException"}' },
      /does not accept the job's credentials.*ExpiredTokenException/,
      1,
    ],
    [
      'with words that are no code',
      { status: 400, body: '{"ErrorCode":"::error::x","Message":"a\\n::stop\\u202e"}' },
      /refused the tunnel with status 400 \(a ::stop<U\+202E>\)/,
      1,
    ],
  ])('%s', async (_name, refusal, message, requests) => {
    behaviour = refusal;
    const { end, stderr } = start();
    expect(await end).toBe(1);
    const said = await stderr;
    expect(said).toMatch(message);
    expect(said).not.toContain('secret');
    expect(broker.findCause(ADDRESS)).toMatch(message);
    expect(endpoint.requests).toHaveLength(requests);
  });

  test('where nothing listens', async () => {
    target = '127.0.0.1:9';
    const { end, stderr } = start();
    expect(await end).toBe(1);
    expect(await stderr).toMatch(/eice-1 does not answer \(127\.0\.0\.1, ECONNREFUSED\)/);
  });

  test('where the name cannot be resolved', async () => {
    target = 'eice-1.invalid';
    const { end, stderr } = start();
    expect(await end).toBe(1);
    expect(await stderr).toMatch(/cannot resolve the name of eice-1/);
  });

  test('by a certificate that the runner does not trust', async () => {
    const { end, stderr } = start([ADDRESS, '22'], { NODE_EXTRA_CA_CERTS: '' });
    expect(await end).toBe(1);
    expect(await stderr).toMatch(/NODE_EXTRA_CA_CERTS/);
  });
});

test('waits for a free connection of the endpoint, and forgets why it waited', async () => {
  const full = { status: 429, body: '{"ErrorCode":"TooManyRequestsException","Message":"20"}' };
  behaviour = full;
  const { child, end } = start();
  await vi.waitFor(() => expect(endpoint.requests.length).toBeGreaterThan(1), { timeout: 5_000 });
  behaviour = echo;
  child.stdin.write('x');
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect(broker.findCause(ADDRESS)).toBeNull();
  child.stdin.end();
  expect(await end).toBe(0);
});

test('waits for another tunnel of this run to end', async () => {
  const single = await startBroker(1, 20_000);
  const socket = join(folder, 's1');
  try {
    const first = start([ADDRESS, '22'], {}, socket);
    first.child.stdin.write('1');
    await new Promise((resolve) => first.child.stdout.once('data', resolve));
    const second = start([ADDRESS, '22'], {}, socket);
    second.child.stdin.write('2');
    const answered = new Promise((resolve) => second.child.stdout.once('data', resolve));
    await sleep(500);
    expect(endpoint.requests).toHaveLength(1);
    first.child.kill('SIGKILL');
    await answered;
    second.child.stdin.end();
    expect(await second.end).toBe(0);
  } finally {
    await single.close();
  }
});

describe('through a proxy', () => {
  test('reaches an endpoint whose name only the proxy resolves', async () => {
    target = NAME;
    const proxy = await startProxy({
      routes: { [`${NAME}:443`]: endpoint.port },
      credentials: 'user:password',
    });
    const { child, end, stderr } = start([ADDRESS, '22'], {
      HTTPS_PROXY: `http://user:password@127.0.0.1:${proxy.port}`,
    });
    child.stdin.end('x');
    expect([await end, await stderr]).toEqual([0, '']);
    expect(proxy.tunnels).toEqual([{ target: `${NAME}:443`, credentials: 'user:password' }]);
    await proxy.close();
  });

  test('that does not connect, says so', async () => {
    target = NAME;
    const proxy = await startProxy({ routes: {} });
    const { end, stderr } = start([ADDRESS, '22'], {
      HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
    });
    expect(await end).toBe(1);
    expect(await stderr).toMatch(/proxy does not connect to|does not answer/);
    await proxy.close();
  });
});

test.each([
  ['a proxy that is no URL', { HTTPS_PROXY: 'http://user:secret@bad host:1' }, undefined],
  ['an endpoint that makes no URL', {}, '127.0.0.1:99999'],
])('%s is a cause, and what is secret in it is not printed', async (_, env, address) => {
  target = address ?? target;
  const { end, stderr } = start(undefined, env);
  expect(await end).toBe(1);
  expect(await stderr).not.toContain('secret');
  expect(broker.findCause(ADDRESS)).toMatch(
    address ? /does not answer/ : /ERR_PROXY_INVALID_CONFIG/,
  );
});
