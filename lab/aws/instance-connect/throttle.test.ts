import { afterEach, expect, test, vi } from 'vitest';
import { makeThrottle } from './throttle.ts';

afterEach(() => vi.useRealTimers());

test('a throttle passes its burst at once, and then its rate', async () => {
  vi.useFakeTimers();
  const throttle = makeThrottle({ burstBytes: 1000, bytesPerSecond: 100 });
  let passed = 0;
  throttle.on('data', (chunk: Buffer) => {
    passed += chunk.length;
  });
  for (let count = 0; count < 12; count += 1) throttle.write(Buffer.alloc(100));
  await vi.advanceTimersByTimeAsync(0);
  expect(passed).toBe(1000);
  await vi.advanceTimersByTimeAsync(999);
  expect(passed).toBe(1000);
  await vi.advanceTimersByTimeAsync(1);
  expect(passed).toBe(1100);
  await vi.advanceTimersByTimeAsync(1000);
  expect(passed).toBe(1200);
});
