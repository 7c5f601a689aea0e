import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { describeInstanceConnectEndpoint } from './describe-instance-connect-endpoints.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const ID = 'eice-0a1b2c3d4e5f60718';

/** Starts an EC2 that gives this answer, asks it, and returns the request as well. */
async function ask(status: number, text: string) {
  let request = '';
  server = createServer(async (message, response) => {
    for await (const chunk of message) request += chunk;
    response.writeHead(status).end(text);
  });
  const listening = server;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as AddressInfo;
  const found = await describeInstanceConnectEndpoint(ID, {
    region: 'us-east-1',
    endpoint: new URL(`http://127.0.0.1:${port}`),
    credentials: async () => ({ accessKeyId: 'id', secretAccessKey: 'the secret key' }),
  });
  return { found, request: Object.fromEntries(new URLSearchParams(request)) };
}

const item = (changes: Record<string, string> = {}) => {
  const fields = {
    instanceConnectEndpointId: ID,
    state: 'create-complete',
    stateMessage: '',
    dnsName: `${ID}.0123abcd.ec2-instance-connect-endpoint.us-east-1.amazonaws.com`,
    vpcId: 'vpc-0a1b2c3d4e5f60718',
    preserveClientIp: 'false',
    securityGroupIdSet: '<item>sg-01</item><item>sg-02</item>',
    ...changes,
  };
  const elements = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>`);
  return `<item>${elements.join('')}</item>`;
};
const wrap = (...items: string[]) =>
  `<DescribeInstanceConnectEndpointsResponse><requestId>1</requestId><instanceConnectEndpointSet>${items.join('')}</instanceConnectEndpointSet></DescribeInstanceConnectEndpointsResponse>`;
const refusal = (code: string) =>
  `<Response><Errors><Error><Code>${code}</Code><Message>Words</Message></Error></Errors></Response>`;

test('an endpoint is read', async () => {
  const { found, request } = await ask(200, wrap(item()));
  expect(found).toEqual({
    id: ID,
    state: 'create-complete',
    message: '',
    dnsName: `${ID}.0123abcd.ec2-instance-connect-endpoint.us-east-1.amazonaws.com`,
    vpcId: 'vpc-0a1b2c3d4e5f60718',
    groups: ['sg-01', 'sg-02'],
    preservesClientIp: false,
  });
  expect(request).toEqual({
    Action: 'DescribeInstanceConnectEndpoints',
    Version: '2016-11-15',
    'InstanceConnectEndpointId.1': ID,
  });
});

test.each<[string, Record<string, string>, Record<string, unknown>]>([
  ['one group', { securityGroupIdSet: '<item>sg-01</item>' }, { groups: ['sg-01'] }],
  ['no group', { securityGroupIdSet: '' }, { groups: [] }],
  ['no name yet', { dnsName: '', state: 'create-in-progress' }, { dnsName: '' }],
  ['the address of the lab', { dnsName: '127.0.0.1:34567' }, { dnsName: '127.0.0.1:34567' }],
  ['a preserved address', { preserveClientIp: 'true' }, { preservesClientIp: true }],
])('an endpoint with %s is read', async (_name, changes, expected) => {
  expect((await ask(200, wrap(item(changes)))).found).toMatchObject(expected);
});

test.each([
  ['the code', 400, refusal('InvalidInstanceConnectEndpointId.NotFound')],
  ['an empty answer', 200, wrap()],
  ['another one', 200, wrap(item({ instanceConnectEndpointId: 'eice-0b' }))],
])('an endpoint that does not exist is null (%s)', async (_name, status, text) => {
  expect((await ask(status, text)).found).toBeNull();
});

describe('an answer is refused', () => {
  test.each<[string, Record<string, string>]>([
    ['a name with a path', { dnsName: 'evil.example/openTunnel?' }],
    ['a name with a user', { dnsName: 'user@evil.example' }],
    ['an id with a command', { instanceConnectEndpointId: 'eice-0$(id)' }],
    ['another state', { state: '<b>ok</b>' }],
    ['an invalid id of a group', { securityGroupIdSet: '<item>sg-01"]}</item>' }],
    ['no VPC', { vpcId: '' }],
  ])('for %s', async (_name, changes) => {
    const asked = ask(200, wrap(item(changes)));
    await expect(asked).rejects.toMatchObject({ name: 'AwsError', code: 'NoAnswer' });
  });

  test('for a missing permission, with its code', async () => {
    const asked = ask(403, refusal('UnauthorizedOperation'));
    await expect(asked).rejects.toMatchObject({ code: 'UnauthorizedOperation' });
  });
});
