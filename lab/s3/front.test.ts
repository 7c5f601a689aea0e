import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { Agent, request } from 'node:https';
import { type AddressInfo, createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSigner } from '../../src/aws/signer.ts';
import { S3_NAME } from './s3.ts';

const WORLD = 'front-test';
const PYTHON = join(import.meta.dirname, '../images/host-plain/files/usr/local/lib/lab');
const BACKUPS = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: 's3:ListBucket',
      Resource: 'arn:aws:s3:::backups',
      Condition: { StringLike: { 's3:prefix': 'orders/*' } },
    },
    {
      Effect: 'Allow',
      Action: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
      Resource: 'arn:aws:s3:::backups/orders/*',
    },
  ],
};

let folder: string;
let moto: Server;
let front: ChildProcess;
let ports: { s3: number; control: number };
let certificate: string;
let agent: Agent;
/** What the stand-in for moto holds, by path. */
const objects = new Map<string, string>();
/** The targets and bodies that reached it. */
const reached: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'front-test-'));
  moto = createServer(async (incoming, answer) => {
    let body = '';
    for await (const part of incoming) body += part;
    const target = incoming.url ?? '';
    reached.push(`${incoming.method} ${target} ${body}`);
    if (incoming.method === 'PUT') objects.set(target, body);
    const found = objects.get(target);
    if (target.includes('?')) answer.end('<DeleteResult></DeleteResult>');
    else answer.writeHead(found === undefined ? 404 : 200).end(found ?? '<Error/>');
  });
  moto.listen(0, '127.0.0.1');
  await once(moto, 'listening');
  ports = { s3: await findPort(), control: await findPort() };
  const { port } = moto.address() as AddressInfo;
  const upstream = `127.0.0.1:${port}`;
  const given = [WORLD, 'us-east-1', folder, S3_NAME, ports.s3, ports.control, upstream].map(
    String,
  );
  front = spawn('python3', [join(import.meta.dirname, 'front.py'), ...given], {
    env: { ...process.env, PYTHONPATH: PYTHON, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: 'inherit',
  });
  for (;;) {
    certificate = await control('/certificate').catch(() => '');
    if (certificate !== '') break;
    await sleep(50);
  }
  agent = new Agent({ keepAlive: true });
});

afterAll(async () => {
  agent?.destroy();
  front?.kill();
  moto?.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  objects.clear();
  reached.length = 0;
  await setRoles({ orders: { policies: [BACKUPS], boundary: null } });
  await control('/faults', {});
});

async function findPort(): Promise<number> {
  const server = createSocket().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function control(path: string, body?: object): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${ports.control}${path}`, {
    ...(body && { method: 'PUT', body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return text;
}

const setRoles = (roles: object) => control('/account', { roles });

/** Credentials as the metadata service of an instance makes them: see credentials.py. */
function issue({ role = 'orders', seconds = 600, world = WORLD } = {}) {
  const key = createHmac('sha256', world).update('i-1').digest();
  const sign = (purpose: string, text: string) =>
    createHmac('sha256', key).update(`${purpose} ${text}`);
  const ends = Math.floor(Date.now() / 1000) + seconds;
  const claim = Buffer.from(JSON.stringify({ instance: 'i-1', role, ends })).toString('base64url');
  const text = claim.padEnd(Math.ceil(claim.length / 4) * 4, '=');
  const sessionToken = `${text}.${sign('token', text).digest('hex')}`;
  return {
    accessKeyId: `ASIA${encode32(sign('id', sessionToken).digest()).slice(0, 16)}`,
    secretAccessKey: sign('secret', sessionToken).digest('base64').slice(0, 40),
    sessionToken,
  };
}

/** RFC 4648, base 32, of a multiple of five bytes. */
function encode32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  return (bits.match(/.{5}/g) ?? []).map((five) => letters[Number.parseInt(five, 2)]).join('');
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query?: Record<string, string>;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

/** Sends a request that the SDK's signer signed; `change` changes it after that. */
async function send(
  { method, path, query = {}, body = '', headers = {} }: Call,
  {
    credentials = issue(),
    region = 'us-east-1',
    now = new Date(),
    change = {},
  }: {
    credentials?: ReturnType<typeof issue>;
    region?: string;
    now?: Date;
    change?: { path?: string; body?: string; headers?: Record<string, string> };
  } = {},
): Promise<{ status: number; text: string }> {
  const signer = await createSigner({
    service: 's3',
    region,
    credentials: async () => credentials,
  });
  const hash = createHash('sha256').update(body).digest('hex');
  const signed = await signer.sign(
    {
      method,
      protocol: 'https:',
      hostname: S3_NAME,
      path,
      query,
      headers: { host: S3_NAME, 'x-amz-content-sha256': hash, ...headers },
      body,
    },
    { signingDate: now },
  );
  const search = new URLSearchParams(query).toString();
  const answer = Promise.withResolvers<{ status: number; text: string }>();
  const outgoing = request(
    {
      ...{ host: '127.0.0.1', port: ports.s3, servername: S3_NAME, ca: certificate, agent },
      method,
      path: `${change.path ?? path}${search && `?${search}`}`,
      headers: { ...signed.headers, ...change.headers },
    },
    async (incoming) => {
      let text = '';
      for await (const part of incoming) text += part;
      answer.resolve({ status: incoming.statusCode ?? 0, text });
    },
  );
  outgoing.on('error', answer.reject);
  outgoing.end(change.body ?? body);
  return answer.promise;
}

const put = (path: string, body = 'a') => ({ method: 'PUT', path, body });
const get = (path: string) => ({ method: 'GET', path });
const list = (prefix: string) => ({
  method: 'GET',
  path: '/backups',
  query: { 'list-type': '2', prefix },
});

describe('a signature', () => {
  test('of a session of the world is accepted', async () => {
    expect(await send(put('/backups/orders/a-b_c.d'))).toMatchObject({
      status: 200,
    });
    expect(reached).toEqual(['PUT /backups/orders/a-b_c.d a']);
  });

  test.each([
    ['that expired', { credentials: issue({ seconds: -1 }) }, 400, 'ExpiredToken'],
    ['of another world', { credentials: issue({ world: 'other' }) }, 400, 'InvalidToken'],
    [
      'with another key id',
      { credentials: { ...issue(), accessKeyId: 'ASIAB' } },
      403,
      'InvalidAccessKeyId',
    ],
    [
      'with another secret',
      { credentials: { ...issue(), secretAccessKey: 'no' } },
      403,
      'SignatureDoesNotMatch',
    ],
    ['for another region', { region: 'eu-west-1' }, 400, 'AuthorizationHeaderMalformed'],
    ['of an hour ago', { now: new Date(Date.now() - 3_600_000) }, 403, 'RequestTimeTooSkewed'],
    ['of another path', { change: { path: '/backups/orders/b' } }, 403, 'SignatureDoesNotMatch'],
    ['of another body', { change: { body: 'b' } }, 400, 'XAmzContentSHA256Mismatch'],
    [
      'without a header',
      { change: { headers: { 'x-amz-acl': 'public-read' } } },
      403,
      'AccessDenied',
    ],
    [
      'of another scheme',
      { change: { headers: { authorization: 'Basic bGFi' } } },
      403,
      'AccessDenied',
    ],
  ])('%s is refused', async (_name, options, status, code) => {
    const answer = await send(put('/backups/orders/a'), options);
    expect(answer).toEqual({ status, text: expect.stringContaining(`<Code>${code}</Code>`) });
    expect(reached).toEqual([]);
  });
});

describe('a policy', () => {
  test.each([
    [put('/backups/orders/a'), 200],
    [put('/backups/billing/a'), 403],
    [put('/other/orders/a'), 403],
    [put('/backups/orders'), 403],
    [list('orders/archive/'), 200],
    [list('billing/'), 403],
    [{ method: 'GET', path: '/backups', query: { 'list-type': '2' } }, 403],
    [{ method: 'DELETE', path: '/backups/billing/a' }, 403],
    [{ ...put('/backups/orders/a'), headers: { 'x-amz-tagging': 'a=b' } }, 403],
    [{ ...put('/backups/orders/a'), headers: { 'x-amz-copy-source': 'x/y' } }, 501],
    [{ method: 'PUT', path: '/backups', query: { policy: '' } }, 501],
  ])('decides %j: %i', async (call: Call, status) => {
    objects.set('/backups/billing/a', 'theirs');
    expect((await send(call)).status).toBe(status);
    expect(reached.length).toBe(status === 200 ? 1 : 0);
  });

  test('is named in the refusal, as AWS words it', async () => {
    const { text } = await send(get('/backups/billing/a'));
    expect(text).toContain(
      'User: arn:aws:sts::123456789012:assumed-role/orders/i-1 is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::backups/billing/a" because no identity-based policy allows the s3:GetObject action',
    );
  });

  test('of no role allows nothing', async () => {
    const credentials = issue({ role: 'other' });
    expect((await send(get('/backups/orders/a'), { credentials })).status).toBe(403);
  });

  test('shows that a key does not exist only where it allows to list it', async () => {
    expect((await send(get('/backups/orders/a'))).status).toBe(404);
    const [, objectsOnly] = BACKUPS.Statement;
    const policies = [{ ...BACKUPS, Statement: [objectsOnly] }];
    await setRoles({ orders: { policies, boundary: null } });
    expect((await send(get('/backups/orders/a'))).status).toBe(403);
  });

  test('counts only within the boundary', async () => {
    const boundary = (Resource: string) => ({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 's3:*', Resource }],
    });
    const bound = (Resource: string) =>
      setRoles({ orders: { policies: [BACKUPS], boundary: boundary(Resource) } });
    await bound('arn:aws:s3:::backups/*');
    expect((await send(put('/backups/orders/a'))).status).toBe(200);
    await bound('arn:aws:s3:::elsewhere/*');
    const refused = await send(put('/backups/orders/a'));
    expect(refused.text).toContain('no permissions boundary allows');
  });

  test('is overruled by a denial', async () => {
    const denial = {
      Effect: 'Deny',
      Action: 's3:Delete*',
      Resource: '*',
      Condition: { StringNotEquals: { 's3:x-amz-server-side-encryption': 'aws:kms' } },
    };
    const policies = [BACKUPS, { Version: '2012-10-17', Statement: denial }];
    await setRoles({ orders: { policies, boundary: null } });
    expect((await send({ method: 'DELETE', path: '/backups/orders/a' })).text).toContain(
      'explicit deny',
    );
    expect((await send(put('/backups/orders/a'))).status).toBe(200);
  });

  test('of a KMS key is needed beside', async () => {
    const key = 'arn:aws:kms:us-east-1:123456789012:key/k';
    const headers = {
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': key,
    };
    const call = { ...put('/backups/orders/a'), headers };
    expect((await send(call)).text).toContain(`kms:GenerateDataKey on resource: "${key}"`);
    const use = { Effect: 'Allow', Action: 'kms:GenerateDataKey', Resource: key };
    const policies = [BACKUPS, { Version: '2012-10-17', Statement: [use] }];
    await setRoles({ orders: { policies, boundary: null } });
    expect((await send(call)).status).toBe(200);
  });

  test('of an alias of a KMS key names it in a condition', async () => {
    const arn = 'arn:aws:kms:us-east-1:123456789012';
    const headers = { 'x-amz-server-side-encryption-aws-kms-key-id': `${arn}:alias/backups` };
    const decide = async (more: object) => {
      const use = { Effect: 'Allow', Action: 'kms:GenerateDataKey', ...more };
      const policies = [BACKUPS, { Version: '2012-10-17', Statement: [use] }];
      await setRoles({ orders: { policies, boundary: null } });
      return (await send({ ...put('/backups/orders/a'), headers })).status;
    };
    const named = (alias: string) => ({
      Resource: `${arn}:key/*`,
      Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': alias } },
    });
    expect(await decide({ Resource: `${arn}:alias/backups` })).toBe(403);
    expect(await decide(named('alias/backups'))).toBe(200);
    expect(await decide(named('alias/other'))).toBe(403);
  });

  test('decides for each key of a deletion', async () => {
    const entry = (key: string) => `<Object><Key>${key}</Key></Object>`;
    const body = `<Delete>${entry('orders/a')}${entry('billing/a')}</Delete>`;
    const answer = await send({ method: 'POST', path: '/backups', query: { delete: '' }, body });
    expect(answer.text).toBe(
      '<DeleteResult><Error><Key>billing/a</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>',
    );
    expect(reached).toEqual([`POST /backups?delete= <Delete>${entry('orders/a')}</Delete>`]);
  });

  test.each([
    ['a condition operator', { Condition: { DateLessThan: { 'aws:CurrentTime': 'x' } } }],
    ['a condition key', { Condition: { StringEquals: { 'aws:SourceVpce': 'x' } } }],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is IAM's.
    ['a policy variable', { Resource: 'arn:aws:s3:::backups/${aws:username}' }],
    ['an element', { Principal: '*' }],
  ])('with %s that the lab does not know is refused when it is given', async (_name, more) => {
    const statement = { Effect: 'Allow', Action: 's3:*', Resource: '*', ...more };
    const role = { policies: [{ Version: '2012-10-17', Statement: [statement] }], boundary: null };
    await expect(setRoles({ orders: role })).rejects.toThrow(/400 role orders: the lab does not/);
  });
});

describe('a fault', () => {
  test('is the answer to a share of the requests that match', async () => {
    await control('/faults', { failShare: 0.5, failStatus: 503, pattern: '^PUT' });
    const statuses = [];
    for (let count = 0; count < 4; count += 1)
      statuses.push((await send(put('/backups/orders/a'))).status);
    expect(statuses).toEqual([200, 503, 200, 503]);
    expect((await send(get('/backups/orders/a'))).status).toBe(200);
    const counts = JSON.parse(await control('/requests'));
    expect(counts['s3:PutObject']['503']).toBe(2);
  });

  test('refuses connections while S3 is down, and ends open ones', async () => {
    await send(put('/backups/orders/a'));
    await control('/faults', { down: true });
    await expect(send(get('/backups/orders/a'))).rejects.toThrow();
    await expect(send(get('/backups/orders/a'))).rejects.toThrow(/ECONNREFUSED/);
    await control('/faults', {});
    expect((await send(get('/backups/orders/a'))).status).toBe(200);
  });

  test('slows requests down', async () => {
    await control('/faults', { bytesPerSecond: 100_000, latencyMs: 50 });
    const start = performance.now();
    expect((await send(put('/backups/orders/a', 'x'.repeat(20_000)))).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThan(240);
  });

  test('that does not exist is an error', async () => {
    await expect(control('/faults', { slow: true })).rejects.toThrow('no fault is called slow');
  });
});
