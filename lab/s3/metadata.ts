import { createHmac } from 'node:crypto';

/** What the metadata service of a host tells: the contents of /etc/lab/metadata.json (images/host-plain, lab-metadata). */
export interface Metadata {
  readonly instance: string;
  readonly region: string;
  /** The name of the role whose credentials the host gets; null without an instance profile. */
  readonly role: string | null;
  /** ARN of the instance profile. */
  readonly profile: string | null;
  /** How many seconds credentials last: six hours on EC2. */
  readonly seconds: number;
  readonly hopLimit: number;
  readonly tokens: string;
  readonly endpoint: string;
}

/** What EC2 gives an instance of the templates without an instance profile. */
export const NO_PROFILE = {
  role: null,
  profile: null,
  seconds: 6 * 3600,
  hopLimit: 1,
  tokens: 'required',
  endpoint: 'enabled',
} as const satisfies Partial<Metadata>;

/** Returns the file's text. The key with which the host's credentials are made is derived: see credentials.py. */
export function writeMetadata(world: string, { hopLimit, ...rest }: Metadata): string {
  const key = createHmac('sha256', world).update(rest.instance).digest('hex');
  return `${JSON.stringify({ ...rest, hop_limit: hopLimit, key }, null, 1)}\n`;
}
