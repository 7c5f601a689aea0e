import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { queryEc2 } from '../../../src/aws/ec2-query.ts';
import { noCompute } from '../compute/compute.ts';
import { serveQueries } from '../query/server.ts';
import type { AccessKey } from '../query/signature.ts';
import { type Subnet, type Vpc, World } from '../world.ts';
import { createEndpoint, type Endpoint } from './endpoint.ts';
import { presign, type Wish } from './presign.ts';
import { serveTunnels, type TunnelServer } from './server.ts';

const region = 'us-east-1';
const directory = mkdtempSync(join(tmpdir(), 'pgca-tunnel-'));
let time = Date.parse('2026-01-02T03:04:05Z');
const clock = { now: () => time, sleep: async () => {} };
const world = new World(directory, '10.99.0.0/16', clock);

/** How much a machine still says at the end, in bytes. */
const LAST = 300_000;

/** A machine that answers in capitals. */
const machine: Server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
  socket.on('data', (chunk) => {
    if (`${chunk}` === 'bye') socket.end(Buffer.alloc(LAST, 'x'));
    else socket.write(`${chunk}`.toUpperCase());
  });
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
});
const dialled: string[] = [];
const compute = {
  ...noCompute,
  async dial(_: Endpoint, address: string, port: number) {
    dialled.push(`${address}:${port}`);
    if (address === '10.42.0.9') throw new Error('timed out');
    return connect((machine.address() as { port: number }).port, '127.0.0.1');
  },
};
const context = { world, compute, region };
const key: AccessKey = { id: 'lab', secret: 'lab', token: 'a session / token' };

let server: TunnelServer;
let endpoint: Endpoint;
beforeEach(async () => {
  const { tables } = world;
  tables.vpcs = { 'vpc-1': { cidr: '10.42.0.0/16', region, defaultGroup: 'sg-1' } as Vpc };
  tables.subnets = {
    'subnet-1': { vpc: 'vpc-1', cidr: '10.42.1.0/24', zone: 'us-east-1a', region } as Subnet,
  };
  tables.endpoints = {};
  tables.forbidden = [];
  tables.throttle = { burstBytes: 1e6, bytesPerSecond: 1e6 };
  dialled.length = 0;
  endpoint = await createEndpoint(
    { subnet: 'subnet-1', groups: [], preserveClientIp: false, tags: { Name: 'way in' } },
    context,
  );
  if (!machine.listening)
    await new Promise<void>((resolve) => machine.listen(0, '127.0.0.1', resolve));
  server = await serveTunnels(context, key);
});
afterEach(() => server.stop());
afterAll(() => {
  machine.close();
  rmSync(directory, { recursive: true, force: true });
});

type Request = Partial<Omit<Wish, 'host' | 'date'>> & { age?: number };

async function ask({ parameters, age = 0, ...others }: Request = {}): Promise<WebSocket> {
  const url = await presign({
    host: server.address,
    parameters: {
      instanceConnectEndpointId: endpoint.id,
      remotePort: '22',
      privateIpAddress: '10.42.0.4',
      maxTunnelDuration: '3600',
      ...parameters,
    },
    key,
    region,
    date: new Date(time - age),
    ...others,
  });
  return dial(url);
}

const dial = (url: string) => new WebSocket(url, { ca: readFileSync(server.certificateFile) });

/** The status and the body of a refused handshake. */
async function readRefusal(socket: WebSocket): Promise<{ status: number; ErrorCode: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number;
    ErrorCode: string;
  }>();
  socket.on('error', reject).on('open', () => reject(new Error('it was opened')));
  socket.on('unexpected-response', (_, response) => {
    let body = '';
    response.on('data', (chunk) => {
      body += chunk;
    });
    response.on('end', () => resolve({ status: response.statusCode ?? 0, ...JSON.parse(body) }));
  });
  return promise;
}

const awaitOpen = (socket: WebSocket) =>
  new Promise<void>((resolve, reject) => socket.on('open', resolve).on('error', reject));
const awaitClose = (socket: WebSocket) =>
  new Promise<[number, string]>((resolve) =>
    socket.on('close', (code, reason) => resolve([code, `${reason}`])),
  );
const awaitMessage = (socket: WebSocket) =>
  new Promise<string>((resolve) => socket.once('message', (data) => resolve(`${data}`)));

describe('a tunnel', () => {
  test('carries bytes both ways', async () => {
    const socket = await ask();
    await awaitOpen(socket);
    for (const word of ['one', 'two']) {
      const answer = awaitMessage(socket);
      socket.send(Buffer.from(word));
      expect(await answer).toBe(word.toUpperCase());
    }
    expect(dialled).toEqual(['10.42.0.4:22']);
    expect(server.records).toEqual([
      { endpoint: endpoint.id, target: '10.42.0.4:22', refusal: null, open: 1 },
    ]);
    socket.close();
  });

  test('ends normally when the target ends, after all that it said', async () => {
    world.tables.throttle = { burstBytes: 1000, bytesPerSecond: 10_000_000 };
    const socket = await ask({ parameters: { remotePort: '3389' } });
    const closed = awaitClose(socket);
    let received = 0;
    socket.on('message', (data: Buffer) => {
      received += data.length;
    });
    await awaitOpen(socket);
    socket.send(Buffer.from('bye'));
    expect(await closed).toEqual([1000, '']);
    expect(received).toBe(LAST);
  });

  test('to a target that cannot be reached is closed with the reason', async () => {
    const socket = await ask({ parameters: { privateIpAddress: '10.42.0.9' } });
    expect(await awaitClose(socket)).toEqual([1011, 'Unable to connect to target']);
  });

  test('ends when its time is over', async () => {
    const socket = await ask({ parameters: { maxTunnelDuration: '1' } });
    expect(await awaitClose(socket)).toEqual([
      1008,
      'The maximum tunnel duration has been reached',
    ]);
  });

  test('ends when all are cut, and others can be opened', async () => {
    const open = async () => {
      const socket = await ask();
      await awaitOpen(socket);
      return socket;
    };
    const sockets = await Promise.all([open(), open()]);
    const ends = sockets.map(awaitClose);
    expect(server.cut()).toBe(2);
    for (const end of await Promise.all(ends)) expect(end[0]).toBe(1008);
    expect(server.cut()).toBe(0);
    await open();
  });

  test('takes no text', async () => {
    const socket = await ask();
    await awaitOpen(socket);
    socket.send('text');
    expect(await awaitClose(socket)).toEqual([1003, 'Only binary frames are accepted']);
  });

  test('is throttled, and loses nothing', async () => {
    world.tables.throttle = { burstBytes: 1000, bytesPerSecond: 1_000_000 };
    const socket = await ask();
    await awaitOpen(socket);
    let received = 0;
    const done = new Promise<void>((resolve) =>
      socket.on('message', (data: Buffer) => {
        received += data.length;
        if (received === 20_000) resolve();
      }),
    );
    for (let count = 0; count < 20; count += 1) socket.send(Buffer.alloc(1000, 'x'));
    await done;
    socket.close();
  });
});

describe('a request is refused', () => {
  test.each<[string, Request, number, string]>([
    ['another secret', { key: { ...key, secret: 'x' } }, 403, 'InvalidSignatureException'],
    ['another key', { key: { ...key, id: 'x' } }, 403, 'UnrecognizedClientException'],
    ['another token', { key: { ...key, token: 'x' } }, 403, 'UnrecognizedClientException'],
    ['no token', { key: { id: 'lab', secret: 'lab' } }, 403, 'UnrecognizedClientException'],
    ['another service', { service: 'ec2' }, 403, 'InvalidSignatureException'],
    ['another region', { region: 'us-west-2' }, 404, 'ResourceNotFoundException'],
    ['an expired URL', { age: 61_000 }, 403, 'InvalidSignatureException'],
    ['a URL of the future', { age: -16 * 60_000 }, 403, 'InvalidSignatureException'],
    ['another path', { path: '/' }, 404, 'ResourceNotFoundException'],
    ['another port', { parameters: { remotePort: '5432' } }, 400, 'InvalidParameter'],
    ['no duration', { parameters: { maxTunnelDuration: '0' } }, 400, 'InvalidParameter'],
    ['a long duration', { parameters: { maxTunnelDuration: '3601' } }, 400, 'InvalidParameter'],
    ['an odd duration', { parameters: { maxTunnelDuration: '1e3' } }, 400, 'InvalidParameter'],
    ['a name', { parameters: { privateIpAddress: 'localhost' } }, 400, 'InvalidParameter'],
    ['another VPC', { parameters: { privateIpAddress: '10.43.0.4' } }, 400, 'InvalidParameter'],
    ['no address', { parameters: { privateIpAddress: '' } }, 400, 'InvalidParameter'],
    [
      'another endpoint',
      { parameters: { instanceConnectEndpointId: 'eice-0' } },
      404,
      'ResourceNotFoundException',
    ],
  ])('with %s', async (_name, wish, status, code) => {
    const refusal = await readRefusal(await ask(wish));
    expect(refusal).toEqual({ status, ErrorCode: code, Message: expect.any(String) });
    expect(dialled).toEqual([]);
    expect(server.records.at(-1)?.refusal).toBe(code);
  });

  test('without a signature', async () => {
    const socket = dial(`wss://${server.address}/openTunnel?remotePort=22`);
    expect(await readRefusal(socket)).toMatchObject({
      status: 403,
      ErrorCode: 'MissingAuthenticationTokenException',
    });
  });

  test('with another address than the signed one', async () => {
    const { url } = await ask();
    const socket = dial(url.replace('10.42.0.4', '10.42.0.5'));
    expect(await readRefusal(socket)).toMatchObject({
      status: 403,
      ErrorCode: 'InvalidSignatureException',
    });
  });

  test('without the permission, in the words of IAM', async () => {
    world.tables.forbidden = ['OpenTunnel'];
    expect(await readRefusal(await ask())).toEqual({
      status: 403,
      ErrorCode: 'AccessDeniedException',
      Message: expect.stringContaining(
        `is not authorized to perform: ec2-instance-connect:OpenTunnel on resource: arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/${endpoint.id}`,
      ),
    });
  });

  test.each(['create-in-progress', 'create-failed', 'delete-in-progress'] as const)(
    'by an endpoint in %s',
    async (state) => {
      endpoint.state = state;
      expect(await readRefusal(await ask())).toMatchObject({ ErrorCode: 'InvalidParameter' });
    },
  );

  test('as the 21st at a time', async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => ask()));
    await Promise.all(sockets.map(awaitOpen));
    expect(await readRefusal(await ask())).toMatchObject({
      status: 429,
      ErrorCode: 'TooManyRequestsException',
    });
    const [first] = sockets;
    const closed = awaitClose(first as WebSocket);
    first?.close();
    await closed;
    const next = await ask();
    await awaitOpen(next);
    for (const socket of [...sockets, next]) socket.terminate();
  });
});

describe('an endpoint', () => {
  test('has an address of its subnet that no machine gets, and is the only one of its VPC', async () => {
    expect(endpoint).toMatchObject({ privateIp: '10.42.1.4', groups: ['sg-1'] });
    const second = createEndpoint(
      { subnet: 'subnet-1', groups: [], preserveClientIp: false, tags: {} },
      context,
    );
    await expect(second).rejects.toMatchObject({ code: 'ResourceLimitExceeded' });
  });

  test('is described with the address of the lab', async () => {
    const queries = await serveQueries({ world, compute, tunnels: server.address });
    const describeEndpoints = (parameters: Record<string, string>) =>
      queryEc2('DescribeInstanceConnectEndpoints', parameters, {
        region,
        endpoint: new URL(queries.endpoint),
        credentials: async () => ({ accessKeyId: 'lab', secretAccessKey: 'lab' }),
      });
    time = Date.now();
    const found = await describeEndpoints({
      'Filter.1.Name': 'vpc-id',
      'Filter.1.Value.1': 'vpc-1',
    });
    expect(JSON.parse(JSON.stringify(found))).toMatchObject({
      DescribeInstanceConnectEndpointsResponse: {
        instanceConnectEndpointSet: {
          item: {
            instanceConnectEndpointId: endpoint.id,
            state: 'create-complete',
            dnsName: server.address,
            fipsDnsName: server.address,
            vpcId: 'vpc-1',
            subnetId: 'subnet-1',
            availabilityZone: 'us-east-1a',
            preserveClientIp: 'false',
            securityGroupIdSet: { item: 'sg-1' },
            networkInterfaceIdSet: { item: endpoint.networkInterface },
            tagSet: { item: { key: 'Name', value: 'way in' } },
          },
        },
      },
    });
    const elsewhere = { 'Filter.1.Name': 'vpc-id', 'Filter.1.Value.1': 'vpc-2' };
    expect(JSON.stringify(await describeEndpoints(elsewhere))).not.toContain('eice-');
    await expect(
      describeEndpoints({ 'InstanceConnectEndpointId.1': 'eice-0' }),
    ).rejects.toMatchObject({ code: 'InvalidInstanceConnectEndpointId.NotFound' });
    await queries.stop();
  });
});
