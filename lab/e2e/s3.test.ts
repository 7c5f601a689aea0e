import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Hosts, startHosts } from '../playbooks/hosts.ts';
import type { S3 } from '../s3/s3.ts';
import { LANE } from './lane.ts';

// pgBackRest judges: a real one on a host of the lab, with nothing but what the host knows from its boot.

const CONFIGURATION = `[global]
repo1-type=s3
repo1-path=/orders
repo1-s3-bucket=backups
repo1-s3-region=us-east-1
repo1-s3-endpoint=s3.lab.internal
repo1-storage-port=9000
repo1-s3-uri-style=path
repo1-s3-key-type=auto
repo1-storage-ca-file=/etc/ssl/certs/ca-certificates.crt
io-timeout=1
log-level-file=off
log-level-console=off`;
const POLICY = {
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
const NODE = 'node-1';
const METADATA = 'http://169.254.169.254/latest';
const ROLES = `${METADATA}/meta-data/iam/security-credentials/`;

let folder: string;
let hosts: Hosts;
let s3: S3;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgca-test-'));
  const { world, prefix } = LANE;
  const options = { world, prefix, folder: join(folder, 'hosts'), count: 1, tags: [] };
  hosts = await startHosts({ ...options, backups: true });
  if (hosts.s3 === null) throw new Error('There is no S3.');
  s3 = hosts.s3;
  await s3.createBucket('backups');
  await hosts.run(NODE, 'timeout 30 cloud-init status --wait');
  await hosts.run(NODE, `echo '${CONFIGURATION}' > /root/pgbackrest.conf`);
});
afterAll(async () => {
  await hosts?.destroy();
  await rm(folder, { recursive: true, force: true });
});

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const pgBackRest = (command: string): string =>
  `pgbackrest --config=/root/pgbackrest.conf --log-level-stderr=error ${command} 2>&1`;

/** Runs pgBackRest on the host; returns what it printed, also where it failed. */
function run(command: string): Promise<string> {
  return hosts.run(NODE, `${pgBackRest(command)}; echo "exit $?"`);
}

/** Asks the metadata service from the host, with what Python has; returns status and text. */
async function ask(
  url: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; text: string }> {
  const script = `import json, sys, urllib.error, urllib.request
url, method, headers = json.loads(sys.argv[1])
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps({"status": answer.status, "text": answer.read().decode()}))`;
  const given = JSON.stringify([url, method, headers]);
  return JSON.parse(await hosts.run(NODE, `python3 -c ${quote(script)} ${quote(given)}`));
}

async function getToken(seconds = 60): Promise<Record<string, string>> {
  const headers = { 'X-aws-ec2-metadata-token-ttl-seconds': `${seconds}` };
  const { text } = await ask(`${METADATA}/api/token`, { method: 'PUT', headers });
  return { 'X-aws-ec2-metadata-token': text };
}

test('the metadata service answers only with a token, and has no role without a profile', async () => {
  const bare = await ask(`${METADATA}/api/token`, { method: 'PUT' });
  expect(bare.status).toBe(400);
  expect((await ask(ROLES)).status).toBe(401);
  const headers = { 'X-aws-ec2-metadata-token': 'AQAE' };
  expect((await ask(ROLES, { headers })).status).toBe(401);
  expect((await ask(ROLES, { headers: await getToken() })).status).toBe(404);
  expect(await run('info --output=json')).toMatch(/valid IAM role associated/);
});

test('a profile that is associated later has credentials, which are renewed before they end', async () => {
  await hosts.setProfile(NODE, POLICY, { seconds: 4 });
  const headers = await getToken();
  expect(await ask(ROLES, { headers })).toEqual({ status: 200, text: NODE });
  const read = async () => JSON.parse((await ask(`${ROLES}${NODE}`, { headers })).text);
  const first = await read();
  expect(first).toMatchObject({ Code: 'Success', Type: 'AWS-HMAC' });
  expect(Date.parse(first.Expiration) - Date.now()).toBeLessThan(4_000);
  expect((await read()).Token).toBe(first.Token);
  await expect.poll(async () => (await read()).Token, { timeout: 10_000 }).not.toBe(first.Token);
});

test('a network behind a bridge is one hop too far', async () => {
  const far = [
    'ip netns add far && ip link add near type veth peer name eth0 netns far',
    'ip address add 172.30.0.1/24 dev near && ip link set near up',
    'ip -n far address add 172.30.0.2/24 dev eth0 && ip -n far link set eth0 up',
    'ip -n far route add default via 172.30.0.1',
  ].join(' && ');
  await hosts.run(NODE, far);
  const put = `printf 'PUT /latest/api/token HTTP/1.1\\r\\nHost: a\\r\\nX-aws-ec2-metadata-token-ttl-seconds: 9\\r\\n\\r\\n' >&3; timeout 2 head -c 15 <&3`;
  const call = `exec 3<>/dev/tcp/169.254.169.254/80; ${put}; exit 0`;
  const from = (prefix: string) => hosts.run(NODE, `${prefix} bash -c ${quote(call)}`);
  expect(await from('')).toBe('HTTP/1.1 200 OK');
  expect(await from('ip netns exec far')).toBe('');
});

test('pgBackRest writes and reads under the prefix of its role, and nowhere else', async () => {
  expect(await hosts.run(NODE, `echo hello | ${pgBackRest('repo-put /orders/a')}`)).toBe('');
  expect(await run('repo-get /orders/a')).toBe('hello\nexit 0');
  expect(await run('repo-get /orders/b')).toMatch(/missing file.*exit 55$/s);
  expect(await run('repo-ls --recurse')).toMatch(/exit/);
  for (const command of [
    'repo-get /billing/a',
    'repo-ls /billing/',
    'repo-put /billing/a < /dev/null',
  ]) {
    expect(await run(`--repo1-path=/billing ${command}`)).toMatch(/403 \(Forbidden\)/);
  }
  expect(await s3.listKeys('backups')).toEqual(['orders/a']);
  expect(await run('repo-rm /orders/a')).toBe('exit 0');
  expect(await s3.listKeys('backups')).toEqual([]);
});

test('pgBackRest repeats what S3 refuses for a moment, and reports an S3 that is down', async () => {
  await s3.setFaults({ failShare: 0.5, failStatus: 503 });
  for (const _ of ['answered', 'refused at first']) {
    expect(await hosts.run(NODE, `echo hello | ${pgBackRest('repo-put /orders/a')}`)).toBe('');
  }
  expect((await s3.countRequests())['s3:PutObject']).toMatchObject({ 200: 3, 503: 1 });
  await s3.setFaults({ down: true });
  expect(await run('repo-get /orders/a')).toMatch(/unable to connect/);
  await s3.setFaults({});
  expect(await run('repo-get /orders/a')).toBe('hello\nexit 0');
});

test('without the profile pgBackRest has no credentials', async () => {
  await hosts.setProfile(NODE, null);
  expect(await run('repo-get /orders/a')).toMatch(/valid IAM role associated/);
});
