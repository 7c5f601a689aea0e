import { describe, expect, test } from 'vitest';
import { DEPLOY, REVIEW, readStep } from './input-fixtures.ts';

const KEY = 'q1+/=_-'.repeat(6);
const BACKUP = '{"bucket": "acme-backups", "cipher": "aes-256-cbc"}';
const from = (more: object = {}) =>
  JSON.stringify({ from: { bucket: 'acme-backups', cluster: 'sales', ...more } });
const ENCRYPTED = { cipher: 'aes-256-cbc' };

describe('a key is', () => {
  test.each([
    ['too short', 'k'.repeat(31)],
    ['too long', 'k'.repeat(257)],
    ['of two lines', `${'k'.repeat(40)}\n${'k'.repeat(40)}`],
    ['with a blank', `${'k'.repeat(40)} k`],
    ['with a mark of an INI file', `${'k'.repeat(40)}#;[`],
  ])('refused if it is %s, and not shown', (_, key) => {
    for (const name of ['backup-cipher-key', 'restore-cipher-key']) {
      const { problems } = readStep({ backup: BACKUP, 'backup-cipher-key': KEY, [name]: key });
      expect(problems).toEqual([
        expect.stringMatching(new RegExp(`^${name}: .*Allowed: 32 to 256 letters, digits and`)),
      ]);
      expect(problems.join()).not.toContain('kkkk');
    }
  });

  test.each(['k'.repeat(32), 'k'.repeat(256), KEY, `  ${KEY}\n`])('taken: %j', (key) => {
    const { inputs, problems } = readStep({ backup: BACKUP, 'backup-cipher-key': key });
    expect(problems).toEqual([]);
    expect(inputs?.secrets.backupCipherKey).toBe(key.trim());
    expect(inputs?.spec.backup?.cipher).toBe('aes-256-cbc');
  });
});

test('an unknown cipher is refused', () => {
  const backup = '{"bucket": "acme-backups", "cipher": "rot13"}';
  expect(readStep({ backup }).problems).toEqual([
    expect.stringMatching(/^backup\.cipher: .* is not allowed\. Allowed: none, or aes-256-cbc/),
  ]);
});

describe('a deploy', () => {
  test.each<[string, Record<string, string>, RegExp[]]>([
    ['of encrypted backups', { backup: BACKUP }, [/^backup-cipher-key: missing\. backup\.cipher/]],
    ['of others', { backup: '{"bucket": "acme-backups"}' }, []],
    ['with a key that nothing needs', { 'backup-cipher-key': KEY }, []],
    [
      'from an encrypted source',
      { restore: from(ENCRYPTED) },
      [/^restore-cipher-key: missing\. restore\.from\.cipher/],
    ],
    ['from one of another key', { restore: from(ENCRYPTED), 'restore-cipher-key': KEY }, []],
    ['from one of its own key', { restore: from(ENCRYPTED), 'backup-cipher-key': KEY }, []],
    ['from its own backups', { backup: BACKUP, restore: from() }, [/^backup-cipher-key: missing/]],
    ['from a plain source', { restore: from() }, []],
  ])('%s', (_, inputs, expected) => {
    expect(readStep(inputs, DEPLOY).problems).toEqual(
      expected.map((pattern) => expect.stringMatching(pattern)),
    );
  });

  test('without secrets says why it has none', () => {
    const intent = { ...DEPLOY, withoutSecrets: 'Dependabot' } as const;
    expect(readStep({ backup: BACKUP }, intent).problems).toEqual([
      expect.stringMatching(/^backup-cipher-key: missing\. GitHub gives no secrets to Dependabot/),
    ]);
  });
});

test.each([REVIEW, { ...REVIEW, withoutSecrets: 'forks' } as const])(
  'a plan needs no key',
  (intent) => {
    const inputs = { backup: BACKUP, restore: from() };
    expect(readStep(inputs, intent).problems).toEqual([]);
  },
);

test.each<[object, string | undefined, string]>([
  [{}, undefined, 'none'],
  [{}, BACKUP, 'aes-256-cbc'],
  [{ cipher: 'none' }, BACKUP, 'none'],
  [ENCRYPTED, '{"bucket": "acme-backups"}', 'aes-256-cbc'],
])('the source %j beside %j has the cipher %s', (source, backup, expected) => {
  const keys = { 'backup-cipher-key': KEY, 'restore-cipher-key': KEY };
  const { inputs } = readStep({ restore: from(source), ...(backup && { backup }), ...keys });
  expect(inputs?.spec.restore?.from.cipher).toBe(expected);
});
