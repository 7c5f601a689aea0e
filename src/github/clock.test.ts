import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createClient } from './client.ts';
import { watchClock } from './clock.ts';

test('the clock shows GitHub’s time after any response, errors included, and the runner’s before', async () => {
  const there = new Date('2031-05-06T07:08:09Z');
  let status = 200;
  const server = createServer((_, answer) => {
    answer.writeHead(status, { date: there.toUTCString(), 'content-type': 'application/json' });
    answer.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const apiUrl = `http://127.0.0.1:${port}`;
    for (const answer of [200, 404]) {
      status = answer;
      const client = createClient({ token: 'token', apiUrl, log: () => {}, second: 1 });
      const now = watchClock(client);
      expect(Math.abs(now().getTime() - Date.now())).toBeLessThan(1_000);
      await client.request('GET /meta').catch(() => null);
      const passed = now().getTime() - there.getTime();
      expect(passed).toBeGreaterThanOrEqual(0);
      expect(passed).toBeLessThan(10_000);
    }
  } finally {
    server.close();
  }
});
