/** Private keys of OpenSSH, PEM and PuTTY, which may be pasted by mistake. */
const PRIVATE_KEY = /BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File|b3BlbnNzaC1rZXktdjE/;
/** The beginning of a key anywhere on a line: the type, followed by the same type in base64. */
const KEY_START = /(?:^|\s)(?:ssh-|ecdsa-|sk-)\S+\s+AAAA/;
const GIVE_LINE =
  'Give the one line in the .pub file that ssh-keygen -t ed25519 wrote, or what ssh-keygen -y -f writes of the private key: ssh-ed25519 AAAA….';
/** The size of EC2's own RSA keys. */
const MIN_RSA_BITS = 2048;

/**
 * Parses a public key as ssh-keygen writes it, `ssh-ed25519 AAAA… comment`, and drops the comment. A problem is a
 * sentence without the input's name. It quotes nothing but known key types, because the text may be a secret that was
 * pasted by mistake. Written by hand because ssh-keygen also accepts keys that EC2 rejects.
 */
export function parsePublicKey(text: string): { key: string } | { problem: string } {
  const refuse = (problem: string) => ({ problem });
  if (PRIVATE_KEY.test(text)) {
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

/** Explains why EC2 cannot import the key ("Create a key pair for your Amazon EC2 instance": ED25519 and RSA). */
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

/** Checks the base64 part of a key (RFC 4253, section 6.6; RFC 8709, section 4). Returns its problem, or null. */
function findBlobProblem(type: 'ssh-ed25519' | 'ssh-rsa', body: string): string | null {
  const damaged = `its part after ${type} is damaged or cut off. ${GIVE_LINE}`;
  const blob = Buffer.from(body, 'base64');
  // Buffer.from ignores invalid characters, and keys are compared as text.
  if (blob.toString('base64') !== body) return damaged;
  const fields = splitFields(blob);
  if (fields === null || fields[0]?.toString('latin1') !== type) return damaged;
  if (type === 'ssh-ed25519') {
    return fields.length === 2 && fields[1]?.length === 32 ? null : damaged;
  }
  const [, exponent, modulus] = fields;
  if (fields.length !== 3 || !exponent?.length || !modulus?.length) return damaged;
  // In two's complement a number whose first bit is set is negative (RFC 4251, section 5).
  if ((modulus[0] ?? 0) > 0x7f) return damaged;
  const bits = BigInt(`0x${modulus.toString('hex')}`).toString(2).length;
  return bits >= MIN_RSA_BITS
    ? null
    : `is an RSA key of ${bits} bits; at least ${MIN_RSA_BITS} are allowed. Make one with ssh-keygen -t ed25519.`;
}

/** Splits a blob into its strings (RFC 4251, section 5); null if it has another format. */
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
