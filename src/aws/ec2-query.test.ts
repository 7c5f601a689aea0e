import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createCredentialSource } from './credentials.ts';
import { describeVolumesModifications } from './describe-volumes-modifications.ts';

let server: Server | undefined;
afterEach(() => {
  vi.unstubAllEnvs();
  server?.closeAllConnections();
  server?.close();
});

type Answer = (response: ServerResponse) => void;
const text =
  (status: number, body: string): Answer =>
  (response) =>
    response.writeHead(status, { location: 'http://127.0.0.1:9/' }).end(body);

/** Starts an EC2 that gives these answers in order, the last one repeatedly; returns what asks it. */
async function startEc2(...answers: Answer[]) {
  const requests: string[] = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      requests.push(body);
      answers[Math.min(requests.length, answers.length) - 1]?.(response);
    });
  });
  const listening = server;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as AddressInfo;
  const ask = (timeoutMs = 20_000, volumes = ['vol-0a', 'vol-0b']) =>
    describeVolumesModifications(volumes, {
      region: 'us-east-1',
      endpoint: new URL(`http://127.0.0.1:${port}`),
      credentials: async () => ({ accessKeyId: 'id', secretAccessKey: 'the secret key' }),
      timeoutMs,
    });
  return { ask, requests };
}

const wrap = (content: string) =>
  `<?xml version="1.0"?><DescribeVolumesModificationsResponse><requestId>1</requestId>${content}</DescribeVolumesModificationsResponse>`;
const item = (changes: Record<string, string> = {}) => {
  const fields = {
    volumeId: 'vol-0a',
    modificationState: 'optimizing',
    originalSize: '20',
    targetSize: '40',
    originalIops: '3000',
    targetIops: '3000',
    progress: '40',
    startTime: '2026-11-26T14:03:20.959Z',
    ...changes,
  };
  const elements = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>`);
  return `<item>${elements.join('')}</item>`;
};
const set = (...items: string[]) =>
  wrap(`<volumeModificationSet>${items.join('')}</volumeModificationSet>`);

describe('an answer', () => {
  test('is read', async () => {
    const { ask, requests } = await startEc2(text(200, set(item(), item({ volumeId: 'vol-0b' }))));
    const expected = {
      volume: 'vol-0a',
      state: 'optimizing',
      progress: 40,
      started: new Date('2026-11-26T14:03:20.959Z'),
      changes: [{ attribute: 'size', before: 20, after: 40 }],
    };
    expect(await ask()).toEqual([expected, { ...expected, volume: 'vol-0b' }]);
    expect(Object.fromEntries(new URLSearchParams(requests[0]))).toEqual({
      Action: 'DescribeVolumesModifications',
      Version: '2016-11-15',
      'Filter.1.Name': 'volume-id',
      'Filter.1.Value.1': 'vol-0a',
      'Filter.1.Value.2': 'vol-0b',
    });
  });

  test.each<[string, string, number]>([
    ['one modification', set(item()), 1],
    ['none', wrap('<volumeModificationSet/>'), 0],
    ['a volume that nobody asked for', set(item({ volumeId: 'vol-0c' })), 0],
  ])('with %s is read', async (_name, body, count) => {
    const { ask } = await startEc2(text(200, body));
    expect(await ask()).toHaveLength(count);
  });

  test.each<[string, string]>([
    ['another document', '<html></html>'],
    ['no document', 'busy'],
    ['an unknown state', set(item({ modificationState: 'x' }))],
    ['an id with Markdown', set(item({ volumeId: 'vol-0a|**' }))],
    ['no time', set(item({ startTime: 'now' }))],
    ['a size that is no number', set(item({ targetSize: '4e9' }))],
    ['101 modifications', set(...Array.from({ length: 101 }, () => item()))],
    ['more than 1 MiB', set(item({ statusMessage: 'x'.repeat(1024 * 1024) }))],
  ])('that is %s is refused', async (_name, body) => {
    const { ask } = await startEc2(text(200, body));
    await expect(ask()).rejects.toMatchObject({ name: 'AwsError', code: 'NoAnswer' });
  });
});

describe('a request', () => {
  const refusal = (code: string) =>
    `<Response><Errors><Error><Code>${code}</Code><Message>Words of EC2</Message></Error></Errors></Response>`;

  test.each<[string, Answer, string, number]>([
    ['a refusal', text(403, refusal('UnauthorizedOperation')), 'UnauthorizedOperation', 1],
    ['a limit of requests', text(503, refusal('RequestLimitExceeded')), 'RequestLimitExceeded', 2],
    ['an error without XML', text(502, 'Bad gateway'), 'NoAnswer', 2],
    ['a redirect', text(302, ''), 'NoAnswer', 2],
    ['a lost connection', (response) => response.destroy(), 'NoAnswer', 2],
  ])(
    'that meets %s fails with its code, after at most two attempts',
    async (_name, answer, code, attempts) => {
      const { ask, requests } = await startEc2(answer);
      await expect(ask()).rejects.toMatchObject({ name: 'AwsError', code });
      expect(requests).toHaveLength(attempts);
    },
  );

  test('that meets silence ends', async () => {
    const { ask, requests } = await startEc2(() => {});
    await expect(ask(200)).rejects.toMatchObject({ code: 'NoAnswer' });
    expect(requests.length).toBeLessThanOrEqual(2);
  });

  test('is repeated', async () => {
    const { ask } = await startEc2(text(500, refusal('InternalError')), text(200, set(item())));
    expect(await ask()).toHaveLength(1);
  });
});

describe('credentials', () => {
  test('come from the environment, and their secrets are masked', async () => {
    vi.stubEnv('AWS_PROFILE', '');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'id');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'the secret key');
    vi.stubEnv('AWS_SESSION_TOKEN', 'the token');
    const masked: string[] = [];
    const source = createCredentialSource({ mask: (secret) => masked.push(secret) });
    expect(await source()).toMatchObject({ accessKeyId: 'id', sessionToken: 'the token' });
    expect(masked).toEqual(['the secret key', 'the token']);
  });

  test('of a program are asked for without the secrets of the step', async () => {
    const config = join(mkdtempSync(join(tmpdir(), 'pgca-credentials-')), 'config');
    const answer =
      '{"Version":1,"AccessKeyId":"id","SecretAccessKey":"<$INPUT_POSTGRES_PASSWORD>"}';
    const script = `${config}.sh`;
    writeFileSync(script, `cat <<END\n${answer}\nEND\n`);
    writeFileSync(config, `[default]\ncredential_process = sh ${script}\n`);
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, '');
    vi.stubEnv('AWS_CONFIG_FILE', config);
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
    vi.stubEnv('INPUT_POSTGRES_PASSWORD', 'secret of the step');
    const source = createCredentialSource({ mask: () => {} });
    expect(await source()).toMatchObject({ accessKeyId: 'id', secretAccessKey: '<>' });
    rmSync(dirname(config), { recursive: true });
  });

  test('of a service that does not answer are given up', async () => {
    server = createServer(() => {});
    const silent = server;
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const folder = mkdtempSync(join(tmpdir(), 'pgca-credentials-'));
    const token = join(folder, 'token');
    writeFileSync(token, 'token');
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, '');
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', token);
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/deploy');
    vi.stubEnv(
      'AWS_ENDPOINT_URL_STS',
      `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
    );
    const source = createCredentialSource({ mask: () => {}, serviceMs: 100 });
    await expect(source()).rejects.toMatchObject({ name: 'AwsError', code: 'NoCredentials' });
    rmSync(folder, { recursive: true });
  });

  test('that are missing have their own code', async () => {
    for (const name of [
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_PROFILE',
      'AWS_WEB_IDENTITY_TOKEN_FILE',
    ])
      vi.stubEnv(name, '');
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    const source = createCredentialSource({ mask: () => {} });
    await expect(source()).rejects.toMatchObject({ name: 'AwsError', code: 'NoCredentials' });
  });
});
