import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '../../lab/github/fault.ts';
import { type GitHub, startGitHub } from '../../lab/github/github.ts';
import { createClient, isForbidden, readStatus } from './client.ts';

let github: GitHub;
beforeEach(async () => {
  github = await startGitHub();
});
afterEach(() => github.stop());

const repository = { owner: 'acme', repo: 'database' };
const path = /^\/repos\/acme\/database$/;

function connect(apiUrl = github.urls.api) {
  const log: string[] = [];
  const token = github.createToken({ permissions: { contents: 'read' } });
  const client = createClient({ token, apiUrl, log: (line) => log.push(line), second: 5 });
  const read = () => client.request('GET /repos/{owner}/{repo}', repository);
  return { client, log, read };
}

describe('temporary faults are retried', () => {
  test.each<[string, Fault, RegExp]>([
    [
      'a server error',
      { path, kind: 'server-error', times: 2 },
      /failed on GET \S+: "Server Error"/,
    ],
    ['a dropped connection', { path, kind: 'drop' }, /failed on GET /],
    [
      'a secondary limit',
      { path, kind: 'secondary-limit', status: 429, retryAfterSeconds: 2 },
      /secondary rate limit is reached \(GET \S+\): trying again in 2 s/,
    ],
    [
      'the hourly limit shortly before its reset',
      { path, kind: 'primary-limit', resetInSeconds: 3 },
      /rate limit is reached \(GET \S+\): trying again in \d s/,
    ],
  ])('%s', async (_case, fault, logged) => {
    github.failNext(fault);
    const { read, log } = connect();
    expect((await read()).data.full_name).toBe('acme/database');
    expect(log.join('\n')).toMatch(logged);
  });
});

/** Answers every request with `answer`. */
async function serve(answer: (headers: IncomingHttpHeaders) => [headers: object, body: object]) {
  const server = createServer((request, response) => {
    const [headers, body] = answer(request.headers);
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { apiUrl: `http://127.0.0.1:${port}`, stop: () => server.close() };
}

test('sends no authorization without a token', async () => {
  const { apiUrl, stop } = await serve(({ authorization }) => [{}, { authorization }]);
  const client = createClient({ token: '', apiUrl, log: () => {} });
  expect((await client.request('GET /user')).data).toEqual({});
  stop();
});

test('sends the token to no other host that a page names', async () => {
  const elsewhere = await serve(({ authorization = '' }) => [{}, [authorization]]);
  const { apiUrl, stop } = await serve(() => [
    { link: `<${elsewhere.apiUrl}/user/repos?page=2>; rel="next"` },
    [],
  ]);
  const client = createClient({ token: 'secret', apiUrl, log: () => {} });
  await expect(client.paginate('GET /user/repos')).rejects.toThrow(
    `${elsewhere.apiUrl}/user/repos?page=2 is not at ${apiUrl}, so the token is not sent there.`,
  );
  stop();
  elsewhere.stop();
});

describe('permanent faults', () => {
  test.each<[string, Fault, { status: number; requests: number; logged: RegExp }]>([
    [
      'server errors',
      { path, kind: 'server-error', times: 99 },
      { status: 500, requests: 4, logged: /Server Error/ },
    ],
    [
      'a rate limit of an hour',
      { path, kind: 'primary-limit', resetInSeconds: 3600, times: 99 },
      { status: 403, requests: 1, logged: /not waiting 36\d\d s/ },
    ],
    [
      'a repeated secondary limit',
      { path, kind: 'secondary-limit', retryAfterSeconds: 1, times: 99 },
      { status: 403, requests: 4, logged: /not waiting 1 s/ },
    ],
  ])('%s lead to a bounded number of requests', async (_case, fault, expected) => {
    github.failNext(fault);
    const { read, log } = connect();
    const error = await read().catch((reason: unknown) => reason);
    expect(readStatus(error)).toBe(expected.status);
    expect(isForbidden(error)).toBe(false);
    expect(github.journal).toHaveLength(expected.requests);
    expect(log.join('\n')).toMatch(expected.logged);
  });
});

test('works with an enterprise server, including GraphQL', async () => {
  const { client, read } = connect(github.enterpriseUrls.api);
  expect((await read()).data.full_name).toBe('acme/database');
  expect(await client.graphql('query { viewer { login } }')).toEqual({
    viewer: { login: 'github-actions[bot]' },
  });
});

test('retries a GraphQL query after a dropped connection', async () => {
  github.failNext({ path: /graphql/, kind: 'drop' });
  const { client } = connect();
  expect(await client.graphql('query { viewer { login } }')).toMatchObject({ viewer: {} });
});

test('sends the API version that it was written for', async () => {
  const versions: unknown[] = [];
  const server: Server = createServer((request, response) => {
    versions.push(request.headers['x-github-api-version']);
    response.setHeader('content-type', 'application/json').end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await connect(`http://127.0.0.1:${port}`).read();
  server.close();
  expect(versions).toEqual(['2022-11-28']);
});
