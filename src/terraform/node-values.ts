import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { NODE_NAME } from '../cluster/node.ts';

// Values of a node in Terraform's state. Everybody who can write the state, or commit a local one, controls them, and they
// reach inventories, ssh's options and pg_hba.conf. So only values that AWS and the templates create are accepted.

/** A text that matches `pattern`. */
const matching = (pattern: RegExp, expected: string) =>
  z.string().regex(pattern, { error: `expected ${expected}` });

/** `node-2`. */
export const name = matching(NODE_NAME, 'the name of a node, e.g. node-1');
/** `i-0a1b2c3d4e5f60718`. */
export const instanceId = matching(/^i-[0-9a-f]{1,17}$/, 'the id of an instance');
/** `t3.medium`. */
export const instanceType = matching(/^[a-z0-9.-]{1,40}$/, 'an instance type, e.g. t3.medium');
/** IPv4, or empty for a node without one. */
export const address = z
  .string()
  .refine((value) => value === '' || isIPv4(value), { error: 'expected an IPv4 address' });
/** `node-1.orders.example.internal`, or empty for a node without a name. */
export const dnsName = matching(
  /^$|^(?=.{1,253}$)node-[1-9]\d{0,2}(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?){2,}$/,
  'the DNS name of a node',
);
/** `eice-0a1b2c3d4e5f60718`. */
export const endpointId = matching(
  /^eice-[0-9a-f]{1,17}$/,
  'the id of an EC2 Instance Connect Endpoint',
);
/** `vol-0a1b2c3d4e5f60718`. */
export const volumeId = matching(/^vol-[0-9a-f]{1,17}$/, 'the id of a volume');
/** `us-east-1a`. */
export const zone = matching(/^[a-z0-9-]{1,60}$/, 'an availability zone, e.g. us-east-1a');
