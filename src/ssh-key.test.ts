import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readPublicKeys, splitKeys } from './ssh-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'ssh-key-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

function createKey(name: string, ...options: string[]): { secret: string; public: string } {
  const path = join(folder, name);
  execFileSync('ssh-keygen', [
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-C',
    'a comment',
    ...options,
    '-f',
    path,
  ]);
  return {
    secret: readFileSync(path, 'utf8'),
    public: readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' '),
  };
}

const current = createKey('current');
const old = createKey('old', '-t', 'rsa', '-b', '2048', '-m', 'PEM');
const elliptic = createKey('elliptic', '-t', 'ecdsa');
const locked = createKey('locked', '-N', 'secret');

describe('readPublicKeys', () => {
  test.each([
    ['as ssh-keygen wrote it', current.secret],
    ['without its last line break', current.secret.trim()],
    ['with carriage returns', current.secret.replaceAll('\n', '\r\n')],
  ])('one key %s', async (_, secret) => {
    expect(await readPublicKeys(secret, folder)).toEqual({
      keys: { current: current.public, retired: [] },
    });
  });

  test('the first of several is in use, the rest are retired', async () => {
    expect(await readPublicKeys(`${current.secret}\n${old.secret}`, folder)).toEqual({
      keys: { current: current.public, retired: [old.public] },
    });
    expect(splitKeys(current.secret + old.secret)).toHaveLength(2);
  });

  test.each<[string, string, RegExp]>([
    ['text', 'hunter2', /^ssh-private-key: not a private key/],
    ['a public key', current.public, /^ssh-private-key: not a private key/],
    [
      'a damaged key',
      current.secret.replace(/^(.{120}).{8}/s, '$1AAAAAAAA'),
      /^ssh-private-key: ssh-keygen cannot read it/,
    ],
    ['a key of a type EC2 rejects', elliptic.secret, /^ssh-private-key: EC2 takes ed25519 and RSA/],
    ['a key with a passphrase', locked.secret, /^ssh-private-key: it is protected by a passphrase/],
    ['a damaged second key', current.secret + locked.secret, /^ssh-private-key \(key 2 of 2\): /],
  ])('%s is a problem in words', async (_, secret, expected) => {
    const result = await readPublicKeys(secret, folder);
    expect(result).toHaveProperty('problem', expect.stringMatching(expected));
  });
});
