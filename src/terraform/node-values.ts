import { z } from 'zod';

// What Terraform's state says of a node. A person who can write the state, or commit the file of a local one, decides it,
// and it goes into inventories, ssh's options and pg_hba.conf. So every value must be one that AWS and the templates make.

/** A text that matches `pattern` as a whole. */
const matching = (pattern: RegExp, expected: string) =>
  z.string().regex(pattern, { error: `expected ${expected}` });

/** `node-2`. */
export const name = matching(/^node-[1-9]\d{0,2}$/, 'the name of a node, e.g. node-1');
/** `i-0a1b2c3d4e5f60718`. */
export const instanceId = matching(/^i-[0-9a-f]{1,17}$/, 'the id of an instance');
/** `t3.medium`. */
export const instanceType = matching(/^[a-z0-9.-]{1,40}$/, 'an instance type, e.g. t3.medium');
/** IPv4, or empty for a node without one. */
export const address = matching(/^(?:\d{1,3}(?:\.\d{1,3}){3})?$/, 'an IPv4 address');
/** `vol-0a1b2c3d4e5f60718`. */
export const volumeId = matching(/^vol-[0-9a-f]{1,17}$/, 'the id of a volume');
/** `us-east-1a`. */
export const zone = matching(/^[a-z0-9-]{1,60}$/, 'an availability zone, e.g. us-east-1a');
