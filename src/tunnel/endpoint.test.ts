import { describe, expect, test, vi } from 'vitest';
import { AwsError } from '../aws/credentials.ts';
import type { InstanceConnectEndpoint } from '../aws/describe-instance-connect-endpoints.ts';
import { refuseGivenEndpoint, requireEndpoint } from './endpoint.ts';

const answers = vi.hoisted(() => ({ next: [] as unknown[] }));
vi.mock('../aws/describe-instance-connect-endpoints.ts', async (original) => ({
  ...(await original<object>()),
  describeInstanceConnectEndpoint: async () => {
    const [next] = answers.next;
    if (answers.next.length > 1) answers.next.shift();
    if (next instanceof Error) throw next;
    return next;
  },
}));

const ID = 'eice-0a1b2c3d4e5f60718';
const READY: InstanceConnectEndpoint = {
  id: ID,
  state: 'create-complete',
  message: '',
  dnsName: 'endpoint.example',
  vpcId: 'vpc-1',
  groups: ['sg-1'],
  preservesClientIp: false,
};

async function require(waitSeconds: number, ...next: unknown[]) {
  answers.next = next;
  let time = 0;
  return requireEndpoint(ID, {
    connection: {
      region: 'us-east-1',
      endpoint: new URL('http://ec2.example'),
      credentials: async () => ({ accessKeyId: '', secretAccessKey: '' }),
    },
    waitSeconds,
    log: () => {},
    clock: {
      now: () => time,
      sleep: async (ms) => {
        time += ms;
      },
    },
  });
}

test.each(['create-complete', 'update-in-progress', 'update-complete', 'update-failed'])(
  'an endpoint in the state %s is used',
  async (state) => {
    expect(await require(0, { ...READY, state })).toMatchObject({ id: ID });
  },
);

test('an endpoint that EC2 still creates is waited for', async () => {
  const creating = { ...READY, state: 'create-in-progress', dnsName: '' };
  expect(await require(60, creating, creating, READY)).toMatchObject({ id: ID });
  await expect(require(20, creating)).rejects.toThrow(/still creates.*create-complete/);
});

describe('it is said why there is no way', () => {
  test.each<[string, unknown, RegExp]>([
    ['there is none', null, /no EC2 Instance Connect Endpoint eice-0a1b2c3d4e5f60718 in us-east-1/],
    [
      'EC2 could not create it',
      { ...READY, state: 'create-failed', message: 'No free\naddress\u202e' },
      /could not create .* EC2 says: No free address<U\+202E>\. Fix the cause/,
    ],
    ['it is deleted', { ...READY, state: 'delete-in-progress' }, /is being deleted/],
    ['it has no name', { ...READY, dnsName: '' }, /names no address/],
    [
      'the permission is missing',
      new AwsError('UnauthorizedOperation', 'x'),
      /lacks the permission ec2:DescribeInstanceConnectEndpoints/,
    ],
    ['there are no credentials', new AwsError('NoCredentials', 'x'), /found no AWS credentials/],
    ['AWS limits requests', new AwsError('RequestLimitExceeded', 'x'), /limits the requests/],
    ['AWS does not answer', new AwsError('NoAnswer', 'x'), /no usable answer/],
  ])('if %s', async (_name, answer, message) => {
    await expect(require(0, answer)).rejects.toThrow(message);
  });
});

describe('a given endpoint', () => {
  test('of the VPC of the nodes fits', () => {
    expect(refuseGivenEndpoint(READY, 'vpc-1')).toBeNull();
  });

  test.each<[string, InstanceConnectEndpoint, string | null, RegExp]>([
    ['of another VPC', READY, 'vpc-2', /is in vpc-1, and the nodes are in vpc-2/],
    ['for a VPC that does not exist', READY, null, /a VPC that this cluster makes/],
    [
      'that preserves addresses',
      { ...READY, preservesClientIp: true },
      'vpc-1',
      /--no-preserve-client-ip/,
    ],
  ])('%s is refused', (_name, endpoint, vpcId, message) => {
    expect(refuseGivenEndpoint(endpoint, vpcId)).toMatch(message);
  });
});
