import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMMANDS, type Intent } from '../runner/intent.ts';
import { createOperation, createStep, DEPLOY } from './input-fixtures.ts';
import { readInputs } from './read-inputs.ts';
import { INPUT_NAMES } from './step-inputs.ts';

describe('any input', () => {
  const marks = fc.constantFrom(
    ...['"', '\\', "'", '{', '[', ':', ',', '/', '.', '@', '#', '?', '=', '\n', ' ', '\u00a0'],
    ...['a', 'A', '0', '-', '_', '=', '://', '?key=', '0.0.0.0/', 'work_mem = 1 ', '__proto__'],
  );
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.json(),
    fc.array(marks, { maxLength: 60 }).map((parts) => parts.join('')),
  );
  const intent = fc.constantFrom<Intent>(
    DEPLOY,
    createOperation('plan'),
    createOperation('configure', { replica_count: 1 }),
    { kind: 'failover', body: undefined, sha: 'a'.repeat(40), why: 'test' },
  );

  test('returns inputs or problems', () => {
    fc.assert(
      fc.property(fc.constantFrom(...INPUT_NAMES), value, intent, (name, given, why) => {
        const { inputs, problems } = readInputs(
          { step: createStep({ [name]: given }), file: null },
          why,
        );
        expect(inputs === null).toBe(problems.length > 0);
      }),
      { numRuns: 600 },
    );
  });

  test('returns inputs or problems for the body of an event', () => {
    const body = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(fc.constantFrom('region', 'image_tag', '__proto__', 'x'), fc.jsonValue()),
    );
    const operation = fc.constantFrom(...COMMANDS.filter((command) => command !== 'auto'));
    fc.assert(
      fc.property(operation, body, (kind, given) => {
        const why: Intent =
          kind === 'failover' ||
          kind === 'replace' ||
          kind === 'discard' ||
          kind === 'backup' ||
          kind === 'rehearse'
            ? { kind, body: given, sha: 'a'.repeat(40), why: 'test' }
            : kind === 'destroy'
              ? {
                  kind,
                  body: given,
                  event: 'repository_dispatch',
                  sha: 'a'.repeat(40),
                  why: 'test',
                }
              : createOperation(kind, given);
        const { inputs, problems } = readInputs({ step: createStep(), file: null }, why);
        expect(inputs === null).toBe(problems.length > 0);
      }),
    );
  });

  // A quarter of the longest environment variable on Linux (MAX_ARG_STRLEN).
  const LENGTH = 32 * 1024;

  test.each([
    'a',
    'A-',
    '0',
    '{',
    '[',
    '"',
    '\\"',
    '\\',
    "'",
    "''",
    ':',
    '://',
    '?',
    '?key',
    '#',
    '\n',
    '\n#',
    ' ',
    '\u00a0',
    '.',
    '/',
    'a.',
    'a:',
    'a@',
    'a/',
    '1.',
    'a=b\n',
    'work_mem = 1 MB\n',
    '{"a":',
    '"a":1,',
    '1 MB ',
    'NETWORK/OF',
    '\u202e',
    'x,',
    "a = '",
    '-',
  ])('is checked in linear time: %j, repeated', (part) => {
    const long = part.repeat(Math.floor(LENGTH / Buffer.byteLength(part)));
    for (const name of INPUT_NAMES) {
      const isJson = name === 'request' || name === 'backend-config';
      for (const given of isJson ? [long, `{"${long}`] : [long]) {
        const started = performance.now();
        const { inputs, problems } = readInputs(
          { step: createStep({ [name]: given }), file: null },
          DEPLOY,
        );
        expect(inputs === null).toBe(problems.length > 0);
        // Milliseconds where it is linear, many seconds where a pattern backtracks.
        expect(performance.now() - started, name).toBeLessThan(2_500);
      }
    }
  });
});
