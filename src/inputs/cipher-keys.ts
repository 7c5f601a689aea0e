import { z } from 'zod';
import { type Description, readValue } from './description.ts';
import type { RawInputs } from './step-inputs.ts';

/** A line of pgbackrest.conf, whose format has no escapes, and long enough that nobody guesses it. */
const CIPHER_KEY = /^[A-Za-z0-9+/=_-]{32,256}$/;

/** The value of `backup-cipher-key` and of `restore-cipher-key`. */
export const cipherKey = () =>
  z.string().refine((value) => value === '' || CIPHER_KEY.test(value), {
    error:
      'Allowed: 32 to 256 letters, digits and + / = _ -, or nothing, e.g. the output of openssl rand -base64 48.',
  });

/**
 * Returns the secrets that a run needs to read and write encrypted backups, and why. The description decides whether anything
 * is encrypted: a job of several clusters gives its secrets to all of them.
 */
export function listCipherKeys(
  description: Description,
  call: RawInputs,
): { readonly name: string; readonly why: string }[] {
  const backup = readValue(description, 'backup');
  const from = readValue(description, 'restore')?.from;
  const cipher = backup?.cipher ?? 'none';
  const needsOwn = cipher !== 'none';
  const isSourceEncrypted = from !== undefined && (from.cipher ?? cipher) !== 'none';
  const hasOwn = (call['backup-cipher-key'] ?? '') !== '';
  return [
    ...(needsOwn
      ? [
          {
            name: 'backup-cipher-key',
            why: `backup.cipher is ${cipher}, and the nodes encrypt with this key. Keep it as a secret that this job can read, e.g. \${{ secrets.BACKUP_CIPHER_KEY }}, and a copy elsewhere: without it the backups are lost. For a new repository make one with openssl rand -base64 48.`,
          },
        ]
      : []),
    ...(isSourceEncrypted && !needsOwn && !hasOwn
      ? [
          {
            name: 'restore-cipher-key',
            why: `restore.from.cipher says that the source is encrypted. Give the key that it was written with as a secret, e.g. \${{ secrets.RESTORE_CIPHER_KEY }}; or remove restore once the cluster has its data.`,
          },
        ]
      : []),
  ];
}
