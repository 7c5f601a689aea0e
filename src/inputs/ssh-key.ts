import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseEnvironment } from '../process/child-environment.ts';
import { runShortCommand } from '../process/short-command.ts';
import { writeSecretFile } from '../runner/workspace.ts';

/** The public keys for the nodes, in OpenSSH's one-line form without comment. */
export interface PublicKeys {
  /** Of the key in use. */
  readonly current: string;
  /** Of keys that are being rotated out. They still log in until the deploy has removed them. */
  readonly retired: readonly string[];
}

/**
 * Replaces the key in runs without secrets, such as for a fork's pull request: a well-formed ed25519 key (RFC 8709)
 * without a known private half.
 */
export const SUBSTITUTE_KEY = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'A'.repeat(43)}`;

/**
 * Chooses the public keys for the nodes from the inputs `ssh-public-key` and `ssh-private-key`, which are null if they
 * are missing. `configures` means that the job logs in to change the nodes. Logins always use the private keys.
 */
export function combineKeys(given: {
  publicKey: string | null;
  fromPrivate: PublicKeys | null;
  configures: boolean;
}): { keys: PublicKeys | null } | { problem: string } {
  const { publicKey, fromPrivate, configures } = given;
  if (publicKey === null) return { keys: fromPrivate };
  const own = fromPrivate === null ? [] : [fromPrivate.current, ...fromPrivate.retired];
  if (own.includes(publicKey)) {
    return { keys: { current: publicKey, retired: own.filter((key) => key !== publicKey) } };
  }
  if (configures && own.length > 0) {
    return {
      problem:
        'ssh-public-key: is not the public half of any key in ssh-private-key, so this job could not log in to a node that knows only this one. Put its private half first in ssh-private-key and keep the old key below it for one deploy; or give the public half of the key that ssh-private-key has (ssh-keygen -y -f).',
    };
  }
  // A job that only observes may have another key. The private keys of the deploy decide which ones the nodes keep.
  return { keys: { current: publicKey, retired: [] } };
}

/** Splits concatenated PEM keys and drops the text around them. */
export function splitKeys(privateKeys: string): string[] {
  const armour = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?-----END \1-----/g;
  // Secrets pasted on Windows contain carriage returns, which ssh rejects.
  return [...privateKeys.replaceAll('\r', '').matchAll(armour)].map(([key]) => `${key}\n`);
}

/**
 * Derives the public halves, or returns the problem as a message. ssh-keygen reads keys from files only, so each key is
 * in a private folder below `temporary` meanwhile.
 */
export async function readPublicKeys(
  privateKeys: string,
  temporary: string,
): Promise<{ keys: PublicKeys } | { problem: string }> {
  const parts = splitKeys(privateKeys);
  if (parts.length === 0) {
    return {
      problem:
        'ssh-private-key: not a private key. Give the whole file that ssh-keygen -t ed25519 wrote, from -----BEGIN to -----END.',
    };
  }
  const folder = await mkdtemp(join(temporary, 'ssh-key-'));
  const publicKeys: string[] = [];
  try {
    for (const [index, key] of parts.entries()) {
      const file = join(folder, 'key');
      await writeSecretFile(file, key);
      const result = await derivePublicKey(file);
      if ('problem' in result) {
        const which = parts.length === 1 ? '' : ` (key ${index + 1} of ${parts.length})`;
        return { problem: `ssh-private-key${which}: ${result.problem}.` };
      }
      if (!/^ssh-(ed25519|rsa) /.test(result.publicKey)) {
        const type = result.publicKey.split(' ')[0];
        return {
          problem: `ssh-private-key: EC2 takes ed25519 and RSA keys only, this one is ${type}. Make one with ssh-keygen -t ed25519.`,
        };
      }
      publicKeys.push(result.publicKey);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  const [current, ...retired] = publicKeys as [string, ...string[]];
  return { keys: { current, retired: retired.filter((key) => key !== current) } };
}

async function derivePublicKey(file: string): Promise<{ publicKey: string } | { problem: string }> {
  const output = await runShortCommand(
    'ssh-keygen',
    ['-y', '-P', '', '-f', file],
    chooseEnvironment(process.env, { program: 'ssh' }),
  );
  if (output === null) return { problem: 'ssh-keygen is not on PATH. Install openssh-client' };
  if (output.exitCode === 0) {
    return { publicKey: output.stdout.trim().split(' ').slice(0, 2).join(' ') };
  }
  return {
    problem: /passphrase/.test(output.stderr)
      ? 'it is protected by a passphrase, which a workflow cannot type. Make one without: ssh-keygen -t ed25519 -N ""'
      : 'ssh-keygen cannot read it. Check that the secret holds the whole file, line breaks included',
  };
}
