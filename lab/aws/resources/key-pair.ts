import { createHash, createPublicKey } from 'node:crypto';
import { ApiError, call } from '../api-error.ts';
import { type Resource, readTags, text } from '../resource.ts';
import type { KeyPair } from '../world.ts';
import { makeId, writeArn } from '../world.ts';

/** The length-prefixed fields of an OpenSSH public key's body. */
function readFields(body: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at + 4 <= body.length; ) {
    const length = body.readUInt32BE(at);
    fields.push(body.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields;
}

/** EC2 accepts RSA and ED25519 keys; an imported RSA key's fingerprint is the MD5 of its DER form, else SHA-256. */
function readKey(publicKey: string): Pick<KeyPair, 'type' | 'fingerprint'> {
  const [algorithm, encoded = ''] = publicKey.trim().split(/\s+/);
  const body = Buffer.from(encoded, 'base64');
  const [name, exponent, modulus] = readFields(body);
  if (name?.toString() !== algorithm) {
    throw new ApiError('InvalidKey.Format', 'Key is not in valid OpenSSH public key format');
  }
  if (algorithm === 'ssh-ed25519') {
    return { type: 'ed25519', fingerprint: createHash('sha256').update(body).digest('base64') };
  }
  if (algorithm !== 'ssh-rsa' || exponent === undefined || modulus === undefined) {
    throw new ApiError('InvalidKey.Format', 'Key is not in valid OpenSSH public key format');
  }
  const jwk = { kty: 'RSA', e: exponent.toString('base64url'), n: modulus.toString('base64url') };
  const der = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' });
  const digest = createHash('md5').update(der).digest('hex');
  return { type: 'rsa', fingerprint: digest.replace(/..(?!$)/g, '$&:') };
}

/** A key pair's key in the table: its name is unique only within the region. */
function locate(region: string, name: string): string {
  return `${region}/${name}`;
}

/** `aws_key_pair`; its id is its name. */
export const keyPair: Resource = {
  rules: {
    forceNew: ['key_name', 'key_name_prefix', 'public_key'],
    spellings: { public_key: (key) => key.trim() },
  },

  async create(planned, { world, region }) {
    const name =
      text(planned.key_name) || `${text(planned.key_name_prefix) || 'terraform-'}${Date.now()}`;
    const publicKey = text(planned.public_key).trim();
    const { keyPairs } = world.tables;
    const key = await call(`importing EC2 Key Pair (${name})`, 'ImportKeyPair', () => {
      if (keyPairs[locate(region, name)] !== undefined) {
        throw new ApiError('InvalidKeyPair.Duplicate', 'The keypair already exists');
      }
      return readKey(publicKey);
    });
    keyPairs[locate(region, name)] = {
      id: makeId('key'),
      region,
      name,
      publicKey,
      tags: readTags(planned),
      ...key,
    };
    return name;
  },

  read(id, { world, region }) {
    const found = world.tables.keyPairs[locate(region, id)];
    if (found === undefined) return undefined;
    return {
      id,
      arn: writeArn(region, 'key-pair', id),
      fingerprint: found.fingerprint,
      key_name: id,
      key_name_prefix: /^(.*?)\d{13}$/.exec(id)?.[1] ?? '',
      key_pair_id: found.id,
      key_type: found.type,
    };
  },

  async delete(id, _recorded, { world, region }) {
    delete world.tables.keyPairs[locate(region, id)];
  },

  tags: (id, { world, region }) => world.tables.keyPairs[locate(region, id)],
  import: (id) => ({ id }),
};
