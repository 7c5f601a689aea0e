/** A block of IPv4 addresses as numbers: first address, number of addresses. */
export interface Cidr {
  readonly first: number;
  readonly size: number;
  readonly bits: number;
}

/** The number of a dotted IPv4 address, or undefined if the text is not an address. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (
    parts.length !== 4 ||
    !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)
  ) {
    return undefined;
  }
  return parts.reduce((number, part) => number * 256 + Number(part), 0);
}

/** The dotted form of an address. */
export function writeAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** Reads `10.0.0.0/16`; returns undefined if it is malformed or has host bits set. */
export function parseCidr(text: string): Cidr | undefined {
  const [, address = '', prefix = ''] = /^([\d.]+)\/(\d|[12]\d|3[0-2])$/.exec(text) ?? [];
  const first = parseAddress(address);
  if (first === undefined) return undefined;
  const bits = Number(prefix);
  const size = 2 ** (32 - bits);
  return first % size === 0 ? { first, size, bits } : undefined;
}

/** True if every address of the inner block lies in the outer one. */
export function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return inner.first >= outer.first && inner.first + inner.size <= outer.first + outer.size;
}

/** True if the blocks share an address. */
export function overlapsCidr(left: Cidr, right: Cidr): boolean {
  return left.first < right.first + right.size && right.first < left.first + left.size;
}
