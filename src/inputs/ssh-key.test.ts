import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parsePublicKey } from './public-key.ts';
import { combineKeys, readPublicKeys, SUBSTITUTE_KEY, splitKeys } from './ssh-key.ts';

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
  ])('%s is refused with an explanation', async (_, secret, expected) => {
    const result = await readPublicKeys(secret, folder);
    expect(result).toHaveProperty('problem', expect.stringMatching(expected));
  });
});

/** Encodes a key with any fields (RFC 4251, section 5). */
function encodeKey(type: string, ...fields: readonly (string | Buffer)[]): string {
  const parts = fields.map((field) => {
    const bytes = Buffer.from(field);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  });
  return `${type} ${Buffer.concat(parts).toString('base64')}`;
}

describe('parsePublicKey', () => {
  const rsa = createKey('rsa', '-t', 'rsa', '-b', '3072');

  test.each([
    ['ed25519', current.public, current.public],
    ['RSA of 2048 bits', old.public, old.public],
    ['RSA of 3072 bits', rsa.public, rsa.public],
    ['with a comment', `${current.public} ada@example.com, her laptop`, current.public],
    ['with space around it', `\n  ${current.public.replace(' ', '\t')} \r\n`, current.public],
    ['the substitute key', SUBSTITUTE_KEY, SUBSTITUTE_KEY],
  ])('%s', (_, text, key) => {
    expect(parsePublicKey(text)).toEqual({ key });
  });

  const short = createKey('short', '-t', 'rsa', '-b', '1024');
  const [, body = ''] = current.public.split(' ');
  const point = Buffer.alloc(32, 7);
  const modulus = Buffer.concat([Buffer.from([0]), Buffer.alloc(256, 0xff)]);
  const e = Buffer.from([1, 0, 1]);
  test.each<[string, string, RegExp]>([
    ['nothing', ' \n', /empty\. Give the one line/],
    ['text', 'hunter2-hunter2', /not a public key\. Give the one line/],
    ['a type alone', 'ssh-ed25519', /is damaged or cut off/],
    ['the base64 part alone', body, /not a public key/],
    ['a PEM public key', '-----BEGIN PUBLIC KEY-----', /not a public key/],
    ['two keys', `${current.public}\n${old.public}`, /2 lines; one key/],
    [
      'options before the key',
      `from="10.0.0.0/8",command="echo hi" ${current.public}`,
      /has options of authorized_keys/,
    ],
    ['an ECDSA key', elliptic.public, /is an ECDSA key; EC2 takes ed25519 and RSA keys only/],
    ['a DSA key', encodeKey('ssh-dss', 'ssh-dss', point), /is a DSA key/],
    [
      'the key of a security key',
      encodeKey('sk-ssh-ed25519@openssh.com', 'sk-ssh-ed25519@openssh.com', point),
      /is the key of a security key/,
    ],
    [
      'a certificate',
      encodeKey('ssh-ed25519-cert-v01@openssh.com', 'ssh-ed25519-cert-v01@openssh.com', point),
      /is a certificate/,
    ],
    ['a type of tomorrow', encodeKey('ssh-new', 'ssh-new', point), /of a type that EC2 does not/],
    ['a key cut off', current.public.slice(0, -8), /is damaged or cut off/],
    ['a key with a character too many', `${current.public}A`, /is damaged or cut off/],
    ['another alphabet', current.public.replace(/.{2}$/, '-_'), /is damaged or cut off/],
    ['another type than it says', encodeKey('ssh-ed25519', 'ssh-rsa', point), /is damaged/],
    ['ed25519 of 31 bytes', encodeKey('ssh-ed25519', 'ssh-ed25519', point.subarray(1)), /damaged/],
    ['ed25519 and more', encodeKey('ssh-ed25519', 'ssh-ed25519', point, 'x'), /is damaged/],
    ['RSA of 1024 bits', short.public, /is an RSA key of 1024 bits; at least 2048/],
    [
      'RSA of 2047 bits',
      encodeKey('ssh-rsa', 'ssh-rsa', e, Buffer.alloc(256, 0x7f)),
      /is an RSA key of 2047 bits/,
    ],
    ['a negative modulus', encodeKey('ssh-rsa', 'ssh-rsa', e, modulus.subarray(1)), /is damaged/],
    ['RSA without a modulus', encodeKey('ssh-rsa', 'ssh-rsa', e), /is damaged/],
    ['RSA with an empty modulus', encodeKey('ssh-rsa', 'ssh-rsa', e, ''), /is damaged/],
    ['RSA and more', encodeKey('ssh-rsa', 'ssh-rsa', e, modulus, 'x'), /is damaged/],
  ])('%s is refused with an explanation', (_, text, expected) => {
    const result = parsePublicKey(text);
    expect(result).toHaveProperty('problem', expect.stringMatching(expected));
    expect(result).toHaveProperty('problem', expect.stringMatching(/\.$/));
  });

  const lines = current.secret.trim().split('\n');
  test.each([
    ["OpenSSH's", current.secret],
    ["PEM's", old.secret],
    ['one on one line', lines.join(' ')],
    ['one without its armour', lines.slice(1, -1).join('\n')],
    ["PuTTY's", `PuTTY-User-Key-File-3: ssh-ed25519\n${lines[2]}`],
    ['one below its public half', `${current.public}\n${current.secret}`],
  ])('a private key is recognized and not shown: %s', (_, text) => {
    const result = parsePublicKey(text);
    const problem = 'problem' in result ? result.problem : '';
    expect(problem).toMatch(/^holds a private key.*Treat it as leaked/);
    const words = text.split(/\s+/).filter((word) => word.length > 15 && !/^-+/.test(word));
    for (const word of words) expect(problem).not.toContain(word.slice(0, 15));
  });
});

describe('combineKeys', () => {
  const [a, b, c] = ['ssh-ed25519 A', 'ssh-ed25519 B', 'ssh-ed25519 C'] as const;
  const keys = (current: string, ...retired: string[]) => ({ keys: { current, retired } });

  test.each<[string, Parameters<typeof combineKeys>[0], ReturnType<typeof combineKeys>]>([
    ['none', { publicKey: null, fromPrivate: null, configures: false }, { keys: null }],
    [
      'private keys alone',
      { publicKey: null, fromPrivate: { current: a, retired: [b] }, configures: true },
      keys(a, b),
    ],
    ['a public key alone', { publicKey: a, fromPrivate: null, configures: false }, keys(a)],
    [
      'both halves of one',
      { publicKey: a, fromPrivate: { current: a, retired: [] }, configures: true },
      keys(a),
    ],
    [
      'both, and an older one',
      { publicKey: a, fromPrivate: { current: a, retired: [b] }, configures: true },
      keys(a, b),
    ],
    [
      'the public half of the second private key',
      { publicKey: b, fromPrivate: { current: a, retired: [b, c] }, configures: true },
      keys(b, a, c),
    ],
    [
      'another key for a job that only observes',
      { publicKey: c, fromPrivate: { current: a, retired: [b] }, configures: false },
      keys(c),
    ],
  ])('%s', (_, given, expected) => {
    expect(combineKeys(given)).toEqual(expected);
  });

  test('a job that configures requires the private half', () => {
    const given = { publicKey: c, fromPrivate: { current: a, retired: [b] }, configures: true };
    const expected = /^ssh-public-key: is not the public half of any key in ssh-private-key/;
    expect(combineKeys(given)).toEqual({ problem: expect.stringMatching(expected) });
  });
});
