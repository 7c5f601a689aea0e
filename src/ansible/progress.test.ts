import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDesired } from '../cluster/testing/fixtures.ts';
import { parseProgress, readProgress } from './progress.ts';
import { DIRECT } from './route.ts';

const [NODE] = createDesired().nodes;
if (NODE === undefined) throw new Error('the fixture has no node');

const PROGRESS = {
  kind: 'copy',
  done: 5,
  total: 10,
  started: 1_795_000_000,
  updated: 1_795_000_001.5,
  working: true,
};

describe('a progress file', () => {
  test('is read without the keys that are not used', () => {
    expect(parseProgress(JSON.stringify({ ...PROGRESS, step: 'clone\n::error::x' }))).toEqual(
      PROGRESS,
    );
    expect(parseProgress(JSON.stringify({ ...PROGRESS, total: null }))?.total).toBeNull();
  });

  test.each(['copy', 'restore', 'backup', 'recovery', 'replay'])('of a %s is read', (kind) => {
    expect(parseProgress(JSON.stringify({ ...PROGRESS, kind }))?.kind).toBe(kind);
  });

  test('of a restore has the time that was reached, once it is known', () => {
    for (const reached of [null, 1_795_740_363]) {
      const report = { ...PROGRESS, kind: 'recovery', reached };
      expect(parseProgress(JSON.stringify({ ...report, detached: true }))).toEqual(report);
    }
    expect(parseProgress(JSON.stringify({ ...PROGRESS, reached: '::error::' }))).toBeNull();
  });

  test.each<[string, unknown]>([
    ['text', 'copies [all](https://a/)'],
    ['null', null],
    ['a list', [PROGRESS]],
    ['an unknown kind', { ...PROGRESS, kind: '::error::' }],
    ['a negative amount', { ...PROGRESS, done: -1 }],
    ['an amount as text', { ...PROGRESS, done: '5' }],
    ['too much', { ...PROGRESS, total: 2 ** 60 }],
    ['half a byte', { ...PROGRESS, done: 0.5 }],
    ['no time', { ...PROGRESS, updated: undefined }],
    ['a far future', { ...PROGRESS, updated: 1e15 }],
    ['no state', { ...PROGRESS, working: 'yes' }],
  ])('with %s is not used', (_, value) => {
    expect(parseProgress(JSON.stringify(value))).toBeNull();
  });

  test.each(['', '{', '{"kind":"copy"', 'NaN'])('that is no JSON is not used: %s', (text) => {
    expect(parseProgress(text)).toBeNull();
  });
});

describe('asking a node', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'progress-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Asks a node whose ssh is this script of sh. */
  function ask(script: string, signal = new AbortController().signal) {
    const ssh = join(folder, 'ssh');
    writeFileSync(ssh, `#!/bin/sh\nprintf '%s\\n' "$@" >${folder}/arguments\n${script}\n`);
    chmodSync(ssh, 0o755);
    const access = {
      ...{ sshUser: 'admin', sshConfigFile: '/t/ssh_config', sockets: '/t/s', route: DIRECT },
      environment: { PATH: `${folder}:/usr/bin:/bin` },
    };
    return readProgress(NODE as NonNullable<typeof NODE>, access, signal);
  }

  const show = (value: unknown) => `printf '%s' '${JSON.stringify(value)}'`;

  test.each<[string, string, unknown]>([
    ['reports progress', show(PROGRESS), { kind: 'progress', progress: PROGRESS }],
    ['has no file', 'exit 1', { kind: 'none' }],
    ['reports nothing valid', show({ kind: 'copy' }), { kind: 'none' }],
    ['fails after its report', `${show(PROGRESS)}; exit 3`, { kind: 'none' }],
    ['never stops to answer', 'while :; do echo 123456789; done', { kind: 'none' }],
    ['cannot be reached', 'exit 255', { kind: 'silent' }],
    ['loses the connection', `${show(PROGRESS)}; exit 255`, { kind: 'silent' }],
  ])('that %s', async (_, script, expected) => {
    expect(await ask(script)).toEqual(expected);
  });

  test('a node that hangs is silent once nobody waits any more', async () => {
    expect(await ask('exec sleep 60', AbortSignal.timeout(300))).toEqual({ kind: 'silent' });
  });

  test('shares the connection of Ansible and runs one fixed command', async () => {
    await ask('exit 0');
    const given = readFileSync(join(folder, 'arguments'), 'utf8').split('\n');
    expect(given).toContain('ControlPath=/t/s/%h');
    expect(given).toContain(`HostKeyAlias=${NODE?.instanceId}`);
    expect(given.slice(-4)).toEqual([
      '--',
      NODE?.publicAddress,
      'cat /run/postgres-cluster/progress.json',
      '',
    ]);
  });
});
