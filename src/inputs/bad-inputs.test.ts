import { describe, expect, test } from 'vitest';
import { createOperation, REVIEW, readStep } from './input-fixtures.ts';
import { SECRET_INPUTS } from './secrets.ts';
import type { RawInputs } from './step-inputs.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('an invalid value is refused with a suggestion', () => {
  test.each<[string, string, RegExp]>([
    ['command', 'Plan', /Did you mean plan\?$/],
    ['cluster-name', 'Orders_DB', /Did you mean orders-db\?$/],
    [
      'instance-type',
      'db.t3.medium',
      /RDS's name for a class of nodes\. Did you mean t3\.medium\?$/,
    ],
    ['instance-type', 'cache.r6g.large', /another service's name .* Did you mean r6g\.large\?$/],
    ['instance-type', 'T3.Medium', /Did you mean t3\.medium\?$/],
    ['instance-type', 't3-medium', /Did you mean t3\.medium\?$/],
    ['region', 'us-east-1a', /availability zone.* Did you mean us-east-1\?$/],
    ['region', 'us-gov-west-1', /belongs to AWS GovCloud, which is not supported: /],
    ['region', 'cn-north-1', /belongs to AWS China, which is not supported: /],
    ['region', 'eusc-de-east-1', /European Sovereign Cloud, which is not supported: /],
    ['region', 'us-eats-1', /Did you mean us-east-1\?$/],
    ['region', 'US_EAST_1', /Did you mean us-east-1\?$/],
    ['backend', 'S3', /Did you mean s3\?$/],
    ['backend', 'lokal', /Did you mean local\?$/],
    ['backend', 'dynamodb', /Allowed: a Terraform backend, one of azurerm, .*, s3, e\.g\. s3\.$/],
    ['primary', '2', /Did you mean node-2\?$/],
    ['fenced', 'Node1', /Did you mean node-1\?$/],
    ['replace', '2', /Did you mean node-2\?$/],
    ['shared-buffers', '256 MB', /Did you mean 256MB\?$/],
    ['shared-buffers', '1gb', /Did you mean 1GB\?$/],
    ['image', 'postgres:17', /Give image: postgres and image-tag: 17\.$/],
    ['image', `db/pg@${DIGEST}`, /Give a tag with the digest: image: db\/pg and image-tag: 17@/],
    ['image-tag', DIGEST, /A digest follows a tag\. Did you mean 17@sha256:/],
    ['image-tag', '17@sha256:0123', /64 hexadecimal digits/],
    ['ssh-cidrs', '203.0.113.7', /Did you mean 203\.0\.113\.7\/32, this one address\?$/],
    ['ssh-cidrs', '0.0.0.0', /0\.0\.0\.0\/0 is every address\.$/],
    ['client-cidrs', '10.0.0.1/16', /Did you mean 10\.0\.0\.0\/16\?$/],
    ['client-cidrs', '010.0.0.0/8', /Did you mean 10\.0\.0\.0\/8\?$/],
    ['client-cidrs', '2001:db8::/32', /IPv6 is not supported/],
    ['on-plan-change', 'Fail', /Did you mean fail\?$/],
    ['comment', 'share', /Did you mean shared\?$/],
    ['settings', 'work_mem = 32 MB', /line 1: .* Did you mean work_mem = 32MB\?$/],
    ['settings', 'jit = off\ncheckpoint_timeout 15 min # often', /line 2: .* = 15min\?$/],
    ['request', '{"replica-count": 2}', /"replica-count"\. Did you mean replica_count\?/],
    ['request', '{"cluster_name": "x"}', /Give it as the input cluster-name\.$/],
  ])('%s: %s', (name, value, expected) => {
    const { problems } = readStep({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name}: `));
    expect(problems[0]).toMatch(expected);
  });

  test('a value without a close match gets no suggestion', () => {
    expect(readStep({ region: 'atlantis' }).problems[0]).toMatch(/e\.g\. us-east-1\.$/);
    expect(readStep({ 'ssh-cidrs': 'office' }).problems[0]).toMatch(/e\.g\. 203\.0\.113\.0\/24\.$/);
  });

  test.each([
    ['ssh-cidrs', 'NETWORK/OF/YOUR/RUNNERS', 'NETWORK/OF/YOUR/RUNNERS'],
    ['client-cidrs', '10.0.0.0/8 NETWORK/OF/YOUR/APPLICATIONS', 'NETWORK/OF/YOUR/APPLICATIONS'],
    ['image', 'ghcr.io/OWNER/postgres', 'OWNER'],
    ['backend-config', 'bucket = "BUCKET"\nkey = "k"\nregion = "us-east-1"', 'BUCKET'],
    [
      'backend-config',
      '{"bucket":"b","key":"k","region":"r","role_arn":"arn:aws:iam::ACCOUNT:x"}',
      'ACCOUNT',
    ],
  ])('%s %j still has a placeholder', (name, value, placeholder) => {
    expect(readStep({ [name]: value }).problems).toEqual([
      `${name}: still has the placeholder ${placeholder} of the example workflow. Put your own value there.`,
    ]);
  });

  test('other words in capitals are not placeholders', () => {
    const config = '# BUCKET\nbucket = "my-BUCKETS"\nkey = "DB"\nregion = "us-east-1"';
    expect(readStep({ 'backend-config': config }).problems).toEqual([]);
  });
});

describe('a malformed value', () => {
  const s3 = 'bucket = "b"\nkey = "k"\nregion = "r"';

  test.each<[string, RawInputs, RegExp]>([
    [
      'a request nested deeply',
      { request: `{"settings":${'['.repeat(20_000)}${']'.repeat(20_000)}}` },
      /^request: nested 20001 levels deep\. Allowed: 32, e\.g\. /,
    ],
    [
      'a request with a list in it',
      { request: '{"region": [["us-east-1"]]}' },
      /^request\.region: a list is not a string or a number\.$/,
    ],
    [
      'a key given twice in a request',
      { request: '{"replica_count": 1, "replica_count": 2}' },
      /^request: the key "replica_count" is given twice\. Keep one of them\.$/,
    ],
    [
      '__proto__ in a request',
      { request: '{"__proto__": 1}' },
      /^request: unknown key "__proto__"/,
    ],
    ...['__proto__', 'constructor'].flatMap((name): [string, RawInputs, RegExp][] => [
      [
        `${name} in a line of backend-config`,
        { 'backend-config': `${s3}\n${name} = "x"` },
        new RegExp(`^backend-config: "${name}" is not the name of a backend's setting`),
      ],
      [
        `${name} in a block of backend-config`,
        { 'backend-config': `{"bucket":"b","key":"k","region":"r","x":[{"${name}":{}}]}` },
        new RegExp(`^backend-config: "${name}" is not the name of a backend's setting`),
      ],
    ]),
    [
      'a key given twice in lines of backend-config',
      { 'backend-config': `${s3}\nbucket = "c"` },
      /^backend-config: bucket is given twice\. Keep one of them\.$/,
    ],
    [
      'a key given twice in an object of backend-config',
      { 'backend-config': '{"bucket": "b", "bucket": "c"}', backend: 'gcs' },
      /^backend-config: the key "bucket" is given twice/,
    ],
    [
      'a number below what a setting takes',
      { settings: 'max_worker_processes = -5' },
      /^settings: line 1: max_worker_processes = "-5" is not allowed\. Allowed: a whole number from 0 to 262143, e\.g\. 8\.$/,
    ],
    [
      'no connections',
      { settings: 'max_connections = 0' },
      /^settings: line 1: max_connections = "0" is not allowed\. Allowed: a whole number from 4 to 262143, e\.g\. 200\.$/,
    ],
    [
      'too small a cache',
      { settings: 'shared_buffers = 64kB' },
      /^settings: line 1: shared_buffers = "64kB" is not allowed\. Allowed: .* 128kB to 8191GB, e\.g\. 256MB\.$/,
    ],
    ['a bidi character', { region: 'us\u202eeast' }, /^region: "us\\u202eeast" is not allowed/],
    ['a no-break space', { region: 'us\u00a0east-1' }, /^region: "us\\u00a0east-1" is not allowed/],
    ['a name of .git', { 'working-directory': '.git/hooks' }, /^working-directory: /],
    ['a name of .GitHub', { 'working-directory': 'a/.GitHub/x' }, /^working-directory: /],
    ['a home', { 'working-directory': '~/postgres' }, /^working-directory: /],
    [
      'too long a name',
      { 'working-directory': `a/${'x'.repeat(256)}` },
      /at most 255 characters a/,
    ],
    ['too long a path', { 'working-directory': 'abc/'.repeat(257) }, /and 1024 in all/],
  ])('%s is a single problem', (_, inputs, expected) => {
    expect(readStep(inputs).problems).toEqual([expect.stringMatching(expected)]);
  });

  test('single inputs and settings have the same bounds', () => {
    for (const [input, setting, values] of [
      ['max-connections', 'max_connections', ['3', '4', '262143', '262144']],
      ['shared-buffers', 'shared_buffers', ['120kB', '128kB', '8191GB', '8192GB']],
    ] as const) {
      for (const value of values) {
        const single = readStep({ [input]: value }).problems;
        const line = readStep({ settings: `${setting} = ${value}` }).problems;
        expect(single.map((text) => /Allowed: .*/.exec(text)?.[0])).toEqual(
          line.map((text) => /Allowed: .*/.exec(text)?.[0]),
        );
        expect(single).toHaveLength(value === values[0] || value === values[3] ? 1 : 0);
      }
    }
  });

  test('names that resemble .git are allowed', () => {
    const folder = { 'working-directory': `.gitops/x.github/${'x'.repeat(255)}` };
    expect(readStep(folder).problems).toEqual([]);
  });

  test('a deeply nested value of an event is named but not shown', () => {
    let deep: unknown = 'x';
    for (let level = 0; level < 20_000; level++) deep = [deep];
    expect(readStep({}, createOperation('generate', { region: deep })).problems).toEqual([
      'client_payload.region: a list is not a string or a number.',
    ]);
  });

  test('an image may have a tag and a digest', () => {
    const { inputs } = readStep({ 'image-tag': `17@${DIGEST}` });
    expect(inputs?.spec.imageTag).toBe(`17@${DIGEST}`);
    expect(readStep({ 'image-tag': `13@${DIGEST}` }).problems).toEqual([
      expect.stringMatching(/PostgreSQL 14 or later/),
    ]);
    expect(readStep({ 'image-tag': `latest@${DIGEST}` }).problems).toEqual([
      expect.stringMatching(/begins with its major version/),
    ]);
  });
});

describe('no secret is shown', () => {
  test.each(SECRET_INPUTS)('%s, for every problem', (name) => {
    for (const value of [
      'hunter2',
      'tr0ub4dor\n&3-tr0ub4dor',
      'Grüße aus dem Tresor',
      'x'.repeat(31),
    ]) {
      const { problems } = readStep({ [name]: value, region: 'nowhere' });
      for (const problem of problems) {
        for (const line of value.split('\n')) expect(problem).not.toContain(line);
      }
    }
  });

  test.each(['postgres-password', 'replication-password'])('a short %s is refused', (name) => {
    expect(readStep({ [name]: 'e' }).problems).toEqual([
      `${name}: too short. Allowed: at least 12 characters, e.g. the output of openssl rand -base64 24.`,
    ]);
    expect(readStep({ [name]: ' '.repeat(12) }).problems).toHaveLength(1);
    expect(readStep({ [name]: 'synchronous!' }).problems).toEqual([]);
  });

  test('a registry login requires a user name and a password that can be hidden', () => {
    const login = { 'registry-username': 'acme-bot', 'registry-password': 'ghp_0123456789' };
    expect(readStep(login).inputs?.secrets).toMatchObject({
      registryUsername: 'acme-bot',
      registryPassword: 'ghp_0123456789',
    });
    expect(readStep({ ...login, 'registry-username': '' }).problems).toEqual([
      expect.stringMatching(/^registry-username: missing\. registry-password is given/),
    ]);
    expect(readStep({ ...login, 'registry-password': '' }).problems).toEqual([
      expect.stringMatching(/^registry-password: missing\. registry-username is given/),
    ]);
    expect(readStep({ ...login, 'registry-password': 'short' }).problems).toEqual([
      expect.stringMatching(/^registry-password: too short\. .*12 characters/),
    ]);
    expect(readStep({ ...login, 'registry-username': 'two words' }).problems).toEqual([
      expect.stringMatching(/^registry-username: "two words" is not allowed\./),
    ]);
  });

  test('a run without secrets does not require the login', () => {
    const fork = { kind: 'review', withoutSecrets: 'forks' } as const;
    const none = { 'postgres-password': '', 'replication-password': '', 'ssh-private-key': '' };
    const { problems } = readStep(
      { ...none, 'registry-username': 'acme-bot' },
      { ...REVIEW, ...fork },
    );
    expect(problems).toEqual([]);
  });

  test('a short review-key is refused', () => {
    expect(readStep({ 'review-key': 'x'.repeat(31) }).problems).toEqual([
      expect.stringMatching(/^review-key: not allowed\. Allowed: at least 32 characters/),
    ]);
  });

  test('a secret in another input is hidden', () => {
    const password = 'p@ss "word" 1';
    const { problems } = readStep({
      'postgres-password': password,
      settings: `my password is ${password}`,
      region: password,
    });
    expect(problems).toHaveLength(2);
    for (const problem of problems) expect(problem).not.toMatch(/p@ss|word"/);
  });
});
