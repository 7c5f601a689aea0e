import { describe, expect, test } from 'vitest';
import { checkMemory } from './memory.ts';

describe('checkMemory', () => {
  test.each<[string, number]>([
    ['256MB', 4096],
    ['3GB', 4096],
    ['3072MB', 4096],
    ['393216', 4096],
    ['0.75GB', 1024],
    ['lots', 1024],
  ])('%s of %s MiB is fine, or no size at all', (sharedBuffers, memoryMib) => {
    expect(checkMemory({ sharedBuffers, memoryMib })).toBeNull();
  });

  test.each<[string, number, RegExp]>([
    ['3073MB', 4096, /^shared_buffers = 3073MB is 76 % of the 4096 MiB/],
    ['393217', 4096, /^shared_buffers = 393217 is 76 % of/],
    ['8GB', 4096, /is 200 % of the 4096 MiB .* at most 3072MB, usual are 1024MB; .* instance-type/],
    ['512MB', 512, /is 100 % of .* at most 384MB/],
  ])(
    '%s of %s MiB is refused with the numbers and the way out',
    (sharedBuffers, memoryMib, text) => {
      expect(checkMemory({ sharedBuffers, memoryMib })).toMatch(text);
    },
  );

  test('names the instance type, and nothing that is unknown', () => {
    const question = { sharedBuffers: '8GB', memoryMib: 4096, instanceType: 't3.medium' };
    expect(checkMemory(question)).toContain('4096 MiB of memory that t3.medium has');
    expect(checkMemory({ ...question, memoryMib: null })).toBeNull();
    expect(checkMemory({ ...question, sharedBuffers: undefined })).toBeNull();
  });
});
