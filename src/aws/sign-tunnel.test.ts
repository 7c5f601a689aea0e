import { afterEach, expect, test, vi } from 'vitest';
import { createTunnelSigner } from './sign-tunnel.ts';

afterEach(() => {
  vi.useRealTimers();
});

const ID = 'eice-0a1b2c3d4e5f60718';
const HOST = `${ID}.0123abcd.ec2-instance-connect-endpoint.us-east-1.amazonaws.com`;

test("signs as the AWS CLI's library does", async () => {
  vi.useFakeTimers({ now: new Date('2026-11-26T20:00:00Z'), toFake: ['Date'] });
  const sign = createTunnelSigner({
    endpoint: { id: ID, dnsName: HOST },
    region: 'us-east-1',
    credentials: async () => ({
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      sessionToken: 'session/token+with=signs',
    }),
  });
  const url = new URL(await sign('10.42.0.11'));
  expect(`${url.protocol}//${url.host}${url.pathname}`).toBe(`wss://${HOST}/openTunnel`);
  // botocore 1.43.11, SigV4QueryAuth(credentials, 'ec2-instance-connect', 'us-east-1', expires=60), of the same request.
  expect(Object.fromEntries(url.searchParams)).toEqual({
    instanceConnectEndpointId: ID,
    maxTunnelDuration: '3600',
    privateIpAddress: '10.42.0.11',
    remotePort: '22',
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': 'AKIDEXAMPLE/20261126/us-east-1/ec2-instance-connect/aws4_request',
    'X-Amz-Date': '20261126T200000Z',
    'X-Amz-Expires': '60',
    'X-Amz-Security-Token': 'session/token+with=signs',
    'X-Amz-Signature': 'e3102b91a62454ed578c180523aed2145b364d6e59e13895e7f50b778e4f7775',
    'X-Amz-SignedHeaders': 'host',
  });
});
