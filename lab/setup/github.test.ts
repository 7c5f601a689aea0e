import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nightlyTest } from '../nightly.ts';

const SCRIPT = join(import.meta.dirname, '../../setup/github.sh');
const PLAN = 'arn:aws:iam::123456789012:role/postgres-cluster-plan';
const DEPLOY = 'arn:aws:iam::123456789012:role/postgres-cluster-deploy';
const ARGS = ['--repository', 'me/databases', '--plan-role', PLAN, '--deploy-role', DEPLOY];

interface Environment {
  readonly settings: object;
  readonly policies: object[];
  readonly secrets: Record<string, string>;
  readonly variables: Record<string, string>;
}

interface Repository {
  readonly calls: { what: string; args: string[]; input?: unknown }[];
  readonly repository: object;
  readonly environments: Record<string, Environment>;
  readonly secrets: string[];
  readonly labels: Record<string, object>;
  readonly rulesets: { rules: { type: string; parameters?: object }[] }[];
}

let folder: string;
const temporary = () => join(folder, 'tmp');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgca-github-'));
  for (const name of ['bin', 'tmp']) mkdirSync(join(folder, name));
  cpSync(join(import.meta.dirname, 'gh.mjs'), join(folder, 'bin', 'gh.mjs'));
  symlinkSync('gh.mjs', join(folder, 'bin', 'gh'));
  write({});
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(changes: object): void {
  const state = {
    calls: [],
    repository: { permissions: { admin: true }, default_branch: 'main', visibility: 'private' },
    environments: {},
    secrets: [],
    labels: {},
    rulesets: [],
    ...changes,
  };
  writeFileSync(join(folder, 'state.json'), JSON.stringify(state));
}

const read = (): Repository => JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8'));

function run(args: readonly string[] = [], environment: Record<string, string> = {}) {
  return spawnSync(SCRIPT, [...ARGS, ...args], {
    encoding: 'utf8',
    env: {
      PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      HOME: folder,
      TMPDIR: temporary(),
      STUB_STATE: join(folder, 'state.json'),
      ...environment,
    },
  });
}

test('a new repository gets environments for the default branch, secrets, labels and a rule', () => {
  const { status, stdout, stderr } = run(['--reviewer', 'ada', '--check', 'plan']);
  expect([status, stderr]).toEqual([0, '']);
  const { environments, labels, rulesets } = read();
  const settings = {
    deployment_branch_policy: { protected_branches: false, custom_branch_policies: true },
  };
  const policies = [{ name: 'main', type: 'branch' }];
  expect(environments.plan).toMatchObject({ settings, policies, variables: { AWS_ROLE: PLAN } });
  expect(environments.production).toMatchObject({
    settings: {
      ...settings,
      protection_rules: [
        { type: 'required_reviewers', reviewers: [{ type: 'User', id: 7 }] },
        { type: 'branch_policy' },
      ],
    },
    policies,
    variables: { AWS_ROLE: DEPLOY },
  });
  expect(Object.keys(labels)).toEqual([
    'allow-destroy',
    'allow-collation-change',
    'allow-slot-loss',
    'allow-plan',
  ]);
  expect(rulesets).toMatchObject([
    {
      enforcement: 'active',
      conditions: { ref_name: { include: ['~DEFAULT_BRANCH'] } },
      rules: [
        { type: 'deletion' },
        { type: 'non_fast_forward' },
        { type: 'pull_request', parameters: { required_approving_review_count: 1 } },
        {
          type: 'required_status_checks',
          parameters: { required_status_checks: [{ context: 'plan' }] },
        },
      ],
    },
  ]);
  expect(stdout).toContain('did:   environment plan admits only main\n');
  expect(stdout).toContain("to do: clear 'Allow administrators to bypass'");
});

test('secrets are random, shared where both need them, and in no argument, output or file', () => {
  const { stdout, stderr } = run();
  const { calls, environments } = read();
  const plan = environments.plan?.secrets ?? {};
  const production = environments.production?.secrets ?? {};
  expect(Object.keys(plan).sort()).toEqual(['REVIEW_KEY', 'SSH_PRIVATE_KEY']);
  expect(production).toEqual({
    ...plan,
    POSTGRES_PASSWORD: expect.stringMatching(/^[0-9a-f]{48}$/),
    REPLICATION_PASSWORD: expect.stringMatching(/^[0-9a-f]{48}$/),
  });
  expect(plan.REVIEW_KEY).toMatch(/^[0-9a-f]{64}$/);
  expect(plan.SSH_PRIVATE_KEY).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n[\s\S]*-----END/);
  const values = Object.values(production);
  expect(new Set(values).size).toBe(4);
  const seen = [stdout, stderr, ...calls.flatMap(({ args }) => args)].join('\n');
  for (const value of values) expect(seen).not.toContain(value);
  expect(readdirSync(temporary())).toEqual([]);
});

test('a second run changes nothing', () => {
  run(['--check', 'plan']);
  const first = read();
  const { status, stdout } = run(['--check', 'plan']);
  expect(status).toBe(0);
  expect(read()).toEqual(first);
  expect(stdout).not.toContain('did:');
});

test('--dry-run says what a run does, and does nothing', () => {
  const planned = run(['--dry-run']);
  expect(planned.status).toBe(0);
  expect(read().calls).toEqual([]);
  const list = (text: string, start: string) =>
    text.split('\n').flatMap((line) => (line.startsWith(start) ? line.slice(start.length) : []));
  expect(list(planned.stdout, 'would: ')).toEqual(list(run().stdout, 'did:   '));
});

nightlyTest(
  'a run that fails at any call leaves no key behind, and the next one goes on',
  () => {
    let allowed = 1;
    for (let runs = 1; runs < 40; runs++) {
      // One change more than before, then a failure; two for a secret that two environments share.
      const before = read().calls;
      const { status, stderr } = run([], { STUB_FAIL: String(before.length + allowed + 1) });
      allowed = read().calls.at(-1)?.what === before.at(-1)?.what ? 2 : 1;
      expect(readdirSync(temporary())).toEqual([]);
      if (status === 0) break;
      expect(stderr).toMatch(
        /^failed: .*\ngh: Server Error.*\n.*Run this again: what is done is kept\.\n$/,
      );
    }
    const { calls, environments, labels, rulesets } = read();
    const { plan, production } = environments;
    // Only a secret that two environments share is made anew if the run failed between them.
    const repeated = calls
      .map(({ what }) => what)
      .filter((what, index, all) => all.indexOf(what) < index);
    expect(
      repeated.filter((what) => !/^secret plan|^POST \/labels$|variables$/.test(what)),
    ).toEqual([]);
    expect(production?.secrets).toEqual({
      ...plan?.secrets,
      POSTGRES_PASSWORD: expect.any(String),
      REPLICATION_PASSWORD: expect.any(String),
    });
    expect(plan?.policies).toEqual([{ name: 'main', type: 'branch' }]);
    expect(Object.keys(labels)).toHaveLength(4);
    expect(rulesets).toHaveLength(1);
  },
  300_000,
);

test('a password that could not be made is not set', () => {
  const openssl = join(folder, 'bin', 'openssl');
  writeFileSync(openssl, '#!/bin/sh\n[ "$3" != 24 ] || exit 1\nprintf %064d 0\n', { mode: 0o755 });
  expect(run().status).toBe(1);
  expect(Object.keys(read().environments.production?.secrets ?? {})).not.toContain(
    'POSTGRES_PASSWORD',
  );
});

test('--rotate makes new passwords and a new review key, and keeps the key that the nodes know', () => {
  run();
  const before = read().environments.production?.secrets ?? {};
  const { stdout } = run(['--rotate']);
  const after = read().environments.production?.secrets ?? {};
  const changed = Object.keys(before).filter((name) => before[name] !== after[name]);
  expect(changed.sort()).toEqual(['POSTGRES_PASSWORD', 'REPLICATION_PASSWORD', 'REVIEW_KEY']);
  expect(after.REVIEW_KEY).toBe(read().environments.plan?.secrets.REVIEW_KEY);
  expect(stdout).toContain('the SSH key stays');
});

const readCipherKey = () => read().environments.production?.secrets.BACKUP_CIPHER_KEY;

test('--backup-cipher makes a key once, with a copy that only its owner can read', () => {
  const copy = join(folder, 'backup.key');
  const { status, stdout, stderr } = run(['--backup-cipher', copy]);
  expect([status, stderr]).toEqual([0, '']);
  const key = readCipherKey() ?? '';
  expect(key).toMatch(/^[A-Za-z0-9+/]{64}$/);
  expect(read().environments.plan?.secrets).not.toHaveProperty('BACKUP_CIPHER_KEY');
  expect(readFileSync(copy, 'utf8')).toBe(`${key}\n`);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  expect(stdout).toContain(`to do: put the key in ${copy} where it outlives GitHub`);
  const seen = [stdout, ...read().calls.flatMap(({ args }) => args)].join('\n');
  expect(seen).not.toContain(key);

  // The person has stored it and deleted the file.
  rmSync(copy);
  const { stdout: again } = run(['--backup-cipher', copy, '--rotate']);
  expect(readCipherKey()).toBe(key);
  expect(again).toContain('kept:  secret BACKUP_CIPHER_KEY of production\n');
  expect(again).toContain('to do: the key of the backups stays');
  expect(again).not.toContain('to do: put the key');
  expect(() => statSync(copy)).toThrow('ENOENT');
});

test('without --backup-cipher there is no key of backups', () => {
  const { stdout } = run(['--rotate']);
  expect(readCipherKey()).toBeUndefined();
  expect(stdout).not.toContain('backups');
});

test('a key of backups whose secret could not be set is in its file, and the next run uses it', () => {
  run();
  const copy = join(folder, 'backup.key');
  const failing = { STUB_FAIL: String(read().calls.length + 1) };
  const { status, stderr } = run(['--backup-cipher', copy], failing);
  expect(status).toBe(1);
  expect(stderr).toContain('failed: secret BACKUP_CIPHER_KEY of production');
  const key = readFileSync(copy, 'utf8').trim();
  expect(run(['--backup-cipher', copy]).status).toBe(0);
  expect(readCipherKey()).toBe(key);
});

test('a key of backups that could not be made leaves no file', () => {
  run();
  const copy = join(folder, 'backup.key');
  writeFileSync(join(folder, 'bin', 'openssl'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  expect(run(['--backup-cipher', copy]).status).toBe(1);
  expect(readCipherKey()).toBeUndefined();
  expect(() => statSync(copy)).toThrow('ENOENT');
});

test('--backup-cipher with --dry-run makes nothing', () => {
  const copy = join(folder, 'backup.key');
  const { stdout } = run(['--backup-cipher', copy, '--dry-run']);
  expect(stdout).toContain('would: secret BACKUP_CIPHER_KEY of production\n');
  expect(read().calls).toEqual([]);
  expect(() => statSync(copy)).toThrow('ENOENT');
});

test('a file that is no key of backups is refused before anything changes', () => {
  const copy = join(folder, 'backup.key');
  writeFileSync(copy, 'too short\n');
  const { status, stderr } = run(['--backup-cipher', copy]);
  expect(status).toBe(1);
  expect(stderr).toContain(`${copy} holds no key of 32 to 256 letters`);
  expect(read().calls).toEqual([]);
  expect(readFileSync(copy, 'utf8')).toBe('too short\n');
});

test('an SSH key that only production has is kept, because the nodes may know it', () => {
  run();
  const state = read();
  const { SSH_PRIVATE_KEY: key } = state.environments.production?.secrets ?? {};
  expect(key).toMatch(/PRIVATE KEY/);
  delete state.environments.plan?.secrets.SSH_PRIVATE_KEY;
  write(state);
  const { status, stdout } = run();
  expect(status).toBe(0);
  expect(read().environments.production?.secrets.SSH_PRIVATE_KEY).toBe(key);
  expect(read().environments.plan?.secrets.SSH_PRIVATE_KEY).toBeUndefined();
  expect(stdout).toContain('to do: the environment plan has no SSH_PRIVATE_KEY');
});

test('what somebody set up otherwise is kept, and named where it is weaker', () => {
  run();
  const { environments, rulesets, ...rest } = read();
  environments.plan?.policies.push({ name: 'feature/*', type: 'branch' });
  const rules = rulesets[0]?.rules.filter(({ type }) => type !== 'deletion');
  const secrets = ['REVIEW_KEY', 'BACKUP_CIPHER_KEY', 'RESTORE_CIPHER_KEY', 'OTHER'];
  write({ ...rest, environments, secrets, rulesets: [{ ...rulesets[0], rules }] });
  const { status, stdout } = run(['--approvals', '2', '--check', 'plan']);
  expect(status).toBe(0);
  expect(stdout).toContain('to do: the environment plan also admits branch:feature/*');
  for (const name of secrets) {
    const said = `to do: ${name} is also a secret of the repository`;
    if (name === 'OTHER') expect(stdout).not.toContain(said);
    else expect(stdout).toContain(said);
  }
  expect(stdout).toContain('needs fewer than 2 approval(s)');
  expect(stdout).toContain('did:   rule of main: also the check plan\n');
  expect(read().rulesets[0]?.rules.map(({ type }) => type)).toEqual([
    'non_fast_forward',
    'pull_request',
    'required_status_checks',
  ]);
});

test('another role replaces the variable', () => {
  run();
  const { stdout } = run(['--plan-role', `${PLAN}-2`]);
  expect(read().environments.plan?.variables.AWS_ROLE).toBe(`${PLAN}-2`);
  expect(stdout).toContain(`did:   variable AWS_ROLE of plan (was ${PLAN})`);
});

test.each([
  ['gh is not logged in', [], { STUB_LOGIN: 'no' }],
  ["--repository is 'x'", ['--repository', 'x'], {}],
  ['must be the ARNs', ['--plan-role', 'plan'], {}],
  ['are the same', ['--plan-role', DEPLOY], {}],
  ['must be a number from 0 to 10', ['--approvals', '11'], {}],
  ['must be the name of a job', ['--check', 'a"b'], {}],
  ['--reviewer is', ['--reviewer', '$(id)'], {}],
  ['GitHub knows no such person', ['--reviewer', 'nobody'], {}],
  ['is not an option', ['--force'], {}],
  ['--check needs a value', ['--check'], {}],
  ['--backup-cipher needs a value', ['--backup-cipher'], {}],
  ['/missing/backup.key cannot be written', ['--backup-cipher', '/missing/backup.key'], {}],
  ['The token lacks a permission', [], { STUB_FAIL: '1', STUB_ERROR: 'gh: Forbidden (HTTP 403)' }],
])('%s: it says so and changes nothing', (message, args, environment) => {
  const { status, stderr } = run(args, environment as Record<string, string>);
  expect(status).toBe(1);
  expect(stderr).toContain(message);
  expect(read().calls).toEqual([]);
});

test('without administrator rights, or without gh, it does nothing', () => {
  write({ repository: { permissions: { admin: false }, default_branch: 'main' } });
  expect(run().stderr).toContain('This login is no administrator of me/databases.');
  rmSync(join(folder, 'bin', 'gh'));
  for (const name of ['bash', 'env']) {
    symlinkSync(
      spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim(),
      join(folder, 'bin', name),
    );
  }
  expect(run([], { PATH: join(folder, 'bin') }).stderr).toContain('gh is not installed.');
});
