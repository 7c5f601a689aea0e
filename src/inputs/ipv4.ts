import { isIPv4 } from 'node:net';

/** Returns an IPv4 address as a number, or null for any other text. Octets may have leading zeros. */
export function parseAddress(text: string): number | null {
  const octets = text.split('.').map(Number);
  return isIPv4(octets.join('.')) ? octets.reduce((sum, octet) => sum * 256 + octet, 0) : null;
}

/** Writes an address in dotted notation. */
export const formatAddress = (address: number): string =>
  [24, 16, 8, 0].map((bits) => (address >>> bits) & 255).join('.');

/** Returns the address of the network: the first `prefix` bits of `address`. */
export const maskAddress = (address: number, prefix: number): number =>
  prefix === 0 ? 0 : (address & (0xffffffff << (32 - prefix))) >>> 0;
