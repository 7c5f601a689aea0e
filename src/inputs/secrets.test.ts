import { expect, test } from 'vitest';
import { createRedactor, listSecrets } from './secrets.ts';

const inputs = {
  'postgres-password': 'pg-superuser',
  'replication-password': 'pg-superuser-longer',
  'ssh-private-key': '-----BEGIN KEY-----\nb3BlbnNzaC1rZXk\nQQ==\n-----END KEY-----',
  'github-token': '',
  region: 'us-east-1',
};

test('lists secrets and their long lines, longest first', () => {
  expect(listSecrets(inputs)).toEqual([
    inputs['ssh-private-key'],
    'pg-superuser-longer',
    'b3BlbnNzaC1rZXk',
    'pg-superuser',
  ]);
});

test('the keys of backups are secrets', () => {
  const keys = { 'backup-cipher-key': 'a+/='.repeat(12), 'restore-cipher-key': 'b'.repeat(32) };
  expect(listSecrets(keys)).toEqual(Object.values(keys));
  // As Markdown and HTML write them.
  expect(createRedactor(listSecrets(keys))('x a&#43;/='.concat('a+/='.repeat(11)))).toBe('x ***');
});

test('hides secrets and password verifiers', () => {
  const redact = createRedactor(listSecrets(inputs));
  expect(redact('x pg-superuser-longer y b3BlbnNzaC1rZXk in us-east-1')).toBe(
    'x *** y *** in us-east-1',
  );
  expect(redact("PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$a+b/c=:d=' failed")).toBe(
    "PASSWORD '***' failed",
  );
});
