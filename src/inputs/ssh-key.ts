import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseEnvironment } from '../process/child-environment.ts';
import { runShortCommand } from '../process/short-command.ts';
import { writeSecretFile } from '../runner/workspace.ts';

/** The keys that the nodes shall know, in OpenSSH's one-line form without comment. */
export interface PublicKeys {
  /** Of the key in use. */
  readonly current: string;
  /** Of keys that are being rotated out: still good for logging in until the deploy has removed them. */
  readonly retired: readonly string[];
}

/**
 * Stands for the key of a pull request from a fork, which gets no secrets: a well-formed ed25519 key (RFC
 * 8709) that nobody has the private half of.
 */
export const SUBSTITUTE_KEY = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'A'.repeat(43)}`;

/**
 * The keys that the nodes shall know, from the inputs `ssh-public-key` (null: not given) and `ssh-private-key`
 * (`fromPrivate` null: not given). `configures`: the job logs in to change the nodes. What logs in are the private keys,
 * whatever is decided here.
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
  // A key that only looks may be one of its own. Whether the deploy takes it from the nodes, its private keys decide.
  return { keys: { current: publicKey, retired: [] } };
}

/** Splits concatenated PEM-armoured keys; text around them is dropped. */
export function splitKeys(privateKeys: string): string[] {
  const armour = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?-----END \1-----/g;
  // Secrets pasted from Windows carry carriage returns, which ssh rejects.
  return [...privateKeys.replaceAll('\r', '').matchAll(armour)].map(([key]) => `${key}\n`);
}

/**
 * The public halves, or the problem in words for the user. ssh-keygen reads keys from files only, so each
 * lies in a private folder below `temporary` for as long as that takes.
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
