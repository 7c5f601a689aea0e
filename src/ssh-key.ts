import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseEnvironment } from './child-environment.ts';
import { runShortCommand } from './short-command.ts';
import { writeSecretFile } from './workspace.ts';

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

/** What somebody pastes who took the wrong one of two files: OpenSSH's, PEM's and PuTTY's private keys. */
const PRIVATE = /BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File|b3BlbnNzaC1rZXktdjE/;
/** The beginning of a key, wherever on the line: every type is followed by its own name in base64. */
const KEY_START = /(?:^|\s)(?:ssh-|ecdsa-|sk-)\S+\s+AAAA/;
const GIVE_LINE =
  'Give the one line in the .pub file that ssh-keygen -t ed25519 wrote, or what ssh-keygen -y -f writes of the private key: ssh-ed25519 AAAA….';
/** Bits of a modulus that EC2's own RSA keys have. */
const LEAST_RSA_BITS = 2048;

/**
 * The public half of a key as ssh-keygen writes it, `ssh-ed25519 AAAA… comment`, without its comment, or the problem in
 * words for the user. Of the text nothing is quoted but the name of a known type: it may be a secret that was pasted by
 * mistake.
 */
export function parsePublicKey(text: string): { key: string } | { problem: string } {
  const refuse = (problem: string) => ({ problem: `ssh-public-key: ${problem}` });
  if (PRIVATE.test(text)) {
    return refuse(
      'holds a private key, which is not shown here. Treat it as leaked, as this input is no secret: make a new pair with ssh-keygen -t ed25519, and give the one line of its .pub file.',
    );
  }
  const lines = text
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const [line] = lines;
  if (line === undefined) return refuse(`empty. ${GIVE_LINE}`);
  if (lines.length > 1) {
    return refuse(
      `${lines.length} lines; one key on one line is allowed. ${GIVE_LINE} An old key is rotated out by its place below the new one in ssh-private-key.`,
    );
  }
  const [type = '', body = ''] = line.split(/\s+/);
  if (type !== 'ssh-ed25519' && type !== 'ssh-rsa') return refuse(explainType(line, type));
  const problem = findBlobProblem(type, body);
  return problem === null ? { key: `${type} ${body}` } : refuse(problem);
}

/** Why the line is not a key that EC2 imports ("Create a key pair for your Amazon EC2 instance": ED25519 and RSA). */
function explainType(line: string, type: string): string {
  const make = 'Make one with ssh-keygen -t ed25519.';
  const start = KEY_START.exec(line);
  if (start === null) return `not a public key. ${GIVE_LINE}`;
  if (start.index > 0) {
    return 'has options of authorized_keys before the key, which a key pair of EC2 cannot have. Begin with the type: ssh-ed25519 AAAA….';
  }
  if (/-cert-v\d+@/.test(type)) {
    return `is a certificate, and EC2 takes keys only. ${GIVE_LINE}`;
  }
  if (type === 'ssh-dss') return `is a DSA key, which neither EC2 nor OpenSSH takes. ${make}`;
  if (type.startsWith('sk-')) {
    return `is the key of a security key, which EC2 does not take, and which nobody can touch in a workflow. ${make}`;
  }
  return type.startsWith('ecdsa-sha2-')
    ? `is an ECDSA key; EC2 takes ed25519 and RSA keys only. ${make}`
    : `of a type that EC2 does not take; it takes ed25519 and RSA keys only. ${make}`;
}

/** What is wrong with the base64 part of a key (RFC 4253, section 6.6; RFC 8709, section 4); null where nothing is. */
function findBlobProblem(type: 'ssh-ed25519' | 'ssh-rsa', body: string): string | null {
  const damaged = `its part after ${type} is damaged or cut off. ${GIVE_LINE}`;
  const blob = Buffer.from(body, 'base64');
  // Node skips what is not base64; keys are compared as text.
  if (blob.toString('base64') !== body) return damaged;
  const fields = splitFields(blob);
  if (fields === null || fields[0]?.toString('latin1') !== type) return damaged;
  if (type === 'ssh-ed25519') {
    return fields.length === 2 && fields[1]?.length === 32 ? null : damaged;
  }
  const [, exponent, modulus] = fields;
  if (fields.length !== 3 || !exponent?.length || !modulus?.length) return damaged;
  // Two's complement: with the first bit set it would be negative (RFC 4251, section 5).
  if ((modulus[0] ?? 0) > 0x7f) return damaged;
  const bits = BigInt(`0x${modulus.toString('hex')}`).toString(2).length;
  return bits >= LEAST_RSA_BITS
    ? null
    : `is an RSA key of ${bits} bits; at least ${LEAST_RSA_BITS} are allowed. Make one with ssh-keygen -t ed25519.`;
}

/** The strings that a blob consists of (RFC 4251, section 5); null where it does not consist of strings. */
function splitFields(blob: Buffer): Buffer[] | null {
  const fields: Buffer[] = [];
  let offset = 0;
  while (offset < blob.length) {
    if (offset + 4 > blob.length) return null;
    const end = offset + 4 + blob.readUInt32BE(offset);
    if (end > blob.length) return null;
    fields.push(blob.subarray(offset + 4, end));
    offset = end;
  }
  return fields;
}

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
