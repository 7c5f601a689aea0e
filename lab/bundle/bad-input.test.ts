import { existsSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WorkflowEvent } from '../github/event.ts';
import { type Bench, listErrors, openBench, readPullNumber } from './bench.ts';

let bench: Bench;
let opened: WorkflowEvent;
let merged: WorkflowEvent;
let number: number;

beforeAll(async () => {
  bench = await openBench();
  opened = bench.github.openPullRequest({ branch: 'change', title: 'Change the cluster' });
  number = readPullNumber(opened);
  merged = bench.github.merge(number, 'squash').push;
});
afterAll(() => bench.close());

/** Asserts that nothing was written or started, and that nothing was posted except on the pull request. */
async function expectRefusal(
  inputs: Record<string, string>,
  expected: readonly RegExp[],
  options: { event?: WorkflowEvent; runnerEnvironment?: 'github-hosted' | 'self-hosted' } = {},
): Promise<void> {
  const { event = merged, runnerEnvironment = 'self-hosted' } = options;
  const before = bench.github.journal.length;
  const result = await bench.run(event, inputs, { runnerEnvironment });
  const errors = listErrors(result);
  expect(result.conclusion).toBe('failure');
  expect(errors).toHaveLength(expected.length);
  for (const [index, pattern] of expected.entries()) expect(errors[index]).toMatch(pattern);
  expect(result.raw).not.toMatch(/\n\s+at .*\(.*:\d+:\d+\)/);
  const written = bench.github.journal
    .slice(before)
    .filter(({ method, path }) => method !== 'GET' && path !== '/graphql')
    .map(({ path }) => path.replace(/^\/repos\/acme\/database\//, '').replaceAll(/\d+/g, 'N'));
  const allowed = [
    'issues/N/comments',
    'issues/comments/N',
    'issues/comments/N/reactions',
    'issues/comments/N/reactions/N',
  ];
  if (event === opened) allowed.push('check-runs');
  expect(written.filter((path) => !allowed.includes(path))).toEqual([]);
  expect(result.leftovers).toEqual([]);
  expect(result.orphans).toEqual([]);
  const { workspace } = result.directories;
  expect(existsSync(workspace) ? readdirSync(workspace) : []).toEqual([]);
}

/** Values that are not allowed, and what is said of them. */
const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['replica-count', '-1', /"-1" is not allowed\. Allowed: a whole number from 0 to 15/],
  ['replica-count', '1.5', /"1\.5" is not allowed/],
  ['replica-count', 'two', /"two" is not allowed/],
  ['replica-count', '1000', /"1000" is not allowed/],
  ['shared-buffers', '256', /"256" is not allowed.*256MB/],
  ['shared-buffers', '256 megs', /"256 megs" is not allowed/],
  ['shared-buffers', '0MB', /"0MB" is not allowed/],
  ['max-connections', '0', /"0" is not allowed/],
  ['max-connections', 'lots', /"lots" is not allowed/],
  ['region', 'atlantis-1', /"atlantis-1" is not allowed/],
  ['image-tag', '17 alpine', /"17 alpine" is not allowed/],
  ['image-tag', '17;id', /"17;id" is not allowed/],
  ['image-tag', '13', /"13" is not allowed\. Allowed: PostgreSQL 14 or later/],
  ['cluster-name', 'Orders', /"Orders" is not allowed/],
  ['cluster-name', 'x'.repeat(64), /"x{64}" is not allowed/],
  ['cluster-name', '../x', /"\.\.\/x" is not allowed/],
  ['primary', 'node-4', /"node-4" is not allowed\. Allowed: node-1 to node-3/],
  ['primary', 'second', /"second" is not allowed/],
  ['synchronous-replicas', '3', /"3" is not allowed\. Allowed: at most replica-count/],
  ['fenced', 'node-1; reboot', /"node-1; reboot" is not allowed/],
  ['settings', 'work_mem: 8MB', /line 1: "work_mem: 8MB" is not allowed\. Allowed: name = value/],
  ['settings', 'jit = off\nport = 5433', /line 2: port is not allowed/],
  ['settings', 'full_page_writes = off', /line 1: full_page_writes = off is not allowed/],
  ['settings', "include '/etc/passwd'", /line 1: include is not allowed/],
  ['request', `{"region":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, /nested 20001 levels deep/],
  ['request', '{"region":"us-east-1","region":"us-east-2"}', /the key "region" is given twice/],
  ['working-directory', '.git/hooks', /"\.git\/hooks" is not allowed/],
  ['working-directory', 'x'.repeat(300), /is not allowed\. Allowed: .* at most 255 characters/],
  ['backend-config', '__proto__ = "x"', /"__proto__" is not the name of a backend's setting/],
  ['settings', 'max_worker_processes = -5', /line 1: .*"-5" is not allowed.* from 0 to 262143/],
  ['settings', 'max_connections = 0', /line 1: .*"0" is not allowed.* from 4 to 262143/],
  ['settings', 'work_mem = 32 MB', /line 1: .*Did you mean work_mem = 32MB\?/],
  ['instance-type', 'db.t3.medium', /Did you mean t3\.medium\?/],
  ['region', 'us-east-1a', /Did you mean us-east-1\?/],
  ['region', 'us-gov-west-1', /AWS GovCloud, which is not supported/],
  ['region', 'us-east-1\u00a0\u202ex', /"us-east-1\\u00a0\\u202ex" is not allowed/],
  ['backend', 'S3', /Did you mean s3\?/],
  ['ssh-cidrs', '203.0.113.7', /Did you mean 203\.0\.113\.7\/32/],
  ['ssh-cidrs', 'NETWORK/OF/YOUR/RUNNERS', /still has the placeholder/],
  ['image-tag', '17@sha256:0123', /64 hexadecimal digits/],
  ['request', 'replicas=2', /not JSON/],
  ['request', '{"replicas":2}', /unknown key "replicas"/],
];

/** What is compared with replica-count: nothing is said of them while that is wrong. */
const COMPARED = ['primary', 'synchronous-replicas'];

/** Puts the rows into few runs, each with at most eight and one per input: a run reports the problems of all inputs. */
function listRounds(): [string, typeof REFUSED][] {
  const rounds: (typeof REFUSED)[number][][] = [];
  for (const row of REFUSED) {
    const [name] = row;
    const others = COMPARED.includes(name) ? ['replica-count', name] : [name];
    const round = rounds.find(
      (rows) => rows.length < 8 && !rows.some(([other]) => others.includes(other)),
    );
    if (round) round.push(row);
    else rounds.push([row]);
  }
  return rounds.map((rows) => [
    rows.map(([name, value]) => `${name} ${value.slice(0, 40)}`).join(', '),
    rows,
  ]);
}

describe('before anything happens, the bundle refuses', () => {
  test.each(listRounds())('%s', async (_, rows) => {
    const result = await bench.run(
      merged,
      Object.fromEntries(rows.map(([name, value]) => [name, value])),
    );
    const errors = listErrors(result);
    for (const [name, , expected] of rows) {
      const own = errors.filter((error) => error.startsWith(`${name}: `));
      expect(own).toEqual([expect.stringMatching(expected)]);
    }
    expect(errors).toHaveLength(rows.length);
  });

  test('missing secrets', async () => {
    const none = { 'postgres-password': '', 'replication-password': '', 'ssh-private-key': '' };
    await expectRefusal(none, [
      /^postgres-password: missing/,
      /^replication-password: missing/,
      /^ssh-private-key: missing/,
    ]);
    await expectRefusal(none, [/^ssh-private-key: missing/], { event: opened });
  });

  test('a failover without its required inputs, requested by command or by dispatch', async () => {
    const none = { 'postgres-password': '', 'ssh-private-key': '', backend: '' };
    const missing = [
      /^postgres-password: missing/,
      /^ssh-private-key: missing/,
      /^backend: missing/,
    ];
    await expectRefusal({ ...none, command: 'failover' }, missing);
    const event = bench.github.dispatch('failover', { fenced: 'the old one' });
    await expectRefusal(none, [/^client_payload\.fenced: "the old one"/, ...missing], { event });
  });

  test('settings, with all their errors', async () => {
    await expectRefusal(
      {
        'max-connections': '200',
        settings: 'max_connections = 300\nwork_mem\nport = 1\njit = off',
      },
      [
        /^settings: line 2: work_mem has no value/,
        /^settings: line 3: port is not allowed/,
        /^max-connections: max_connections is given in settings, line 1, as well/,
      ],
    );
  });

  test('an unreadable private key, without showing it', async () => {
    const key =
      '-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n';
    await expectRefusal({ 'ssh-private-key': key }, [
      /^ssh-private-key: ssh-keygen cannot read it/,
    ]);
  });

  test('a secret that is too short, in a URL or in the wrong place, without showing it', async () => {
    const before = bench.github.journal.length;
    const key = 'tooShortToSign-hunter2';
    const inputs = {
      'postgres-password': 'hunter2',
      'review-key': key,
      'backend-config': 'address = "https://state:hunter2@state.example"\npassword "hunter2"',
      backend: 'http',
    };
    const result = await bench.run(merged, inputs);
    expect(listErrors(result)).toEqual([
      expect.stringMatching(/^review-key: not allowed\. Allowed: at least 32 characters/),
      expect.stringMatching(/^backend-config: line 2 \(not shown/),
      expect.stringMatching(/^backend-config: address has a user, password or token in a URL/),
      expect.stringMatching(/^postgres-password: too short\. Allowed: at least 12 characters/),
    ]);
    expect(listErrors(result).join()).not.toContain('hunter2');
    // The comment says that the inputs are refused, and contains no secrets, like the log.
    const sent = JSON.stringify(bench.github.journal.slice(before));
    expect(sent).toContain('failed while checking the inputs');
    expect(sent).not.toContain('hunter2');
  });

  test('thousands of bad lines, with nine annotations and all of them in the log', async () => {
    const settings = Array.from({ length: 5000 }, (_, index) => `bad line ${index + 1}`);
    const result = await bench.run(merged, { settings: settings.join('\n') });
    const errors = listErrors(result);
    expect(errors).toHaveLength(10);
    expect(errors[8]).toMatch(/^settings: line 9: "bad line 9" is not allowed/);
    expect(errors[9]).toBe('… and 4,991 more, see the log.');
    expect(result.raw).toMatch(/\n(::group::|##\[group\])?All problems\n/);
    expect(result.raw).toContain('settings: line 5000: "bad line 5000" is not allowed');
    expect(result.conclusion).toBe('failure');
  });

  test.each(['github-hosted', 'self-hosted'] as const)(
    'a state that would be lost, %s',
    async (runner) => {
      await expectRefusal({ backend: '' }, [/^backend: missing\. Terraform would keep its state/], {
        runnerEnvironment: runner,
      });
    },
  );

  test('many bad inputs at once', async () => {
    await expectRefusal(
      {
        'replica-count': 'two',
        region: 'nowhere',
        'max-connections': '0',
        'postgres-password': '',
      },
      [/^replica-count/, /^region/, /^max-connections/, /^postgres-password/],
    );
  });
});

test('a merge with refused inputs reports the first nine problems in its pull request, and no secret', async () => {
  const settings = Array.from({ length: 12 }, (_, index) => `bad_${index}: super-secret-1`);
  await bench.run(merged, { settings: settings.join('\n') });
  const [comment, ...others] = bench.github.listComments(number);
  expect(others).toEqual([]);
  const body = comment?.body ?? '';
  expect(body).toContain('failed while checking the inputs');
  expect(body.match(/settings: line \d+/g)).toHaveLength(9);
  expect(body).toContain('… and 3 more, see the log.');
  expect(body).not.toContain('super-secret-1');

  await bench.run(merged, { 'cluster-name': 'Orders' });
  expect(bench.github.listComments(number)).toEqual([comment]);
  // Other messages of the run do not hide the errors.
  bench.github.failNext({ path: /pulls$/, kind: 'server-error', times: 4 });
  const result = await bench.run(merged, { 'replica-count': 'two' });
  bench.github.clearFaults();
  expect(listErrors(result)).toEqual([expect.stringMatching(/^replica-count: "two"/)]);
});
