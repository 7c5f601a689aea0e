import { expect, test } from 'vitest';
import { findVcpuQuota } from './vcpu-quotas.ts';

test.each([
  ['t3.medium', 'L-1216C47A'],
  ['m7g.large', 'L-1216C47A'],
  ['im4gn.large', 'L-1216C47A'],
  ['x2iedn.xlarge', 'L-7295265B'],
  ['g6.xlarge', 'L-DB2E81BA'],
  ['u-6tb1.56xlarge', 'L-43DA4232'],
  ['inf2.xlarge', 'L-1945791B'],
  ['hpc7g.4xlarge', 'L-F7808C92'],
  // Dedicated hosts have quotas of their own.
  ['mac2.metal', undefined],
  ['', undefined],
])('%s counts against the quota %s', (type, code) => {
  expect(findVcpuQuota(type)?.code).toBe(code);
});
