import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TunnelBroker } from './broker.ts';

const ADMITTED = ['10.42.0.11', '10.42.0.12'];

let folder: string;
let broker: TunnelBroker;
let signed: string[];
/** What the signer throws. */
let fault: Error | null;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgca-'));
  signed = [];
  fault = null;
  broker = await TunnelBroker.start({
    path: join(folder, 's'),
    endpoint: { id: 'eice-1', host: 'endpoint.example' },
    sign: async (address) => {
      if (fault !== null) throw fault;
      signed.push(address);
      return `wss://endpoint.example/${address}`;
    },
    limit: 4,
    patienceMs: 1_000,
  });
  broker.admit(ADMITTED);
});
afterEach(async () => {
  await broker.close();
  rmSync(folder, { recursive: true });
});

/** Sends a text and returns the answers until the broker ends, or until it waits for what comes next. */
function say(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(join(folder, 's'));
    let heard = '';
    socket.setEncoding('utf8').on('data', (part) => {
      heard += part;
    });
    socket.on('error', () => {}).once('close', () => resolve(heard));
    socket.end(text);
  });
}

const request = (address: unknown, port: unknown) => `${JSON.stringify({ address, port })}\n`;

test('signs for an admitted address and port 22', async () => {
  expect(await say(request('10.42.0.11', 22))).toContain('wss://endpoint.example/10.42.0.11');
  expect(signed).toEqual(['10.42.0.11']);
});

test('signs for nothing else, whatever it is sent', async () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.string(),
    fc.constantFrom('10.42.0.11 ', '10.42.0.1', '010.42.0.11', '10.42.0.11:22', '__proto__'),
    fc.jsonValue(),
  );
  const port = fc.oneof(fc.integer(), fc.string(), fc.constantFrom(22, '22', 22.5, null, [22]));
  const wrong = fc
    .tuple(address, port)
    .filter(([one, two]) => !(ADMITTED.includes(one as string) && two === 22))
    .map(([one, two]) => request(one, two));
  const noise = fc.oneof(
    fc.string().map((text) => `${text}\n`),
    fc.jsonValue().map((value) => `${JSON.stringify(value)}\n`),
    fc.constant(`${'x'.repeat(100_000)}`),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 3, arbitrary: wrong }, { weight: 1, arbitrary: noise }),
      async (text) => {
        // What follows a refusal is not read.
        await say(`${text}${request('10.42.0.11', 22)}`);
        expect(signed).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});

test('signs no longer for an address that is not admitted any more', async () => {
  broker.admit(['10.42.0.12']);
  expect(await say(request('10.42.0.11', 22))).toContain('nowhere else');
  expect(signed).toEqual([]);
});

test('a signer that fails refuses the tunnel, and the action goes on', async () => {
  fault = new Error('Resolved credential object is not valid');
  expect(await say(request('10.42.0.11', 22))).toContain('could not be signed');
  expect(broker.findCause('10.42.0.11')).toContain('could not be signed');
  fault = null;
  expect(await say(request('10.42.0.11', 22))).toContain('wss://');
});

test('lets no other user in', () => {
  expect(statSync(folder).mode & 0o077).toBe(0);
});
