import { describe, expect, test } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { ASKED, createReport } from './fixtures.ts';
import { type AnsibleResult, parseResult, RESULT_BYTES } from './result.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

/** The problems with a report of which `bend` changed something. */
function refuse(bend: (report: AnsibleResult) => unknown): readonly string[] {
  const report = createReport();
  bend(report);
  try {
    parseResult(JSON.stringify(report), { nodes: ASKED });
  } catch (error) {
    if (error instanceof UserError) return error.problems;
    throw error;
  }
  return [];
}

test('a valid report is read unchanged', () => {
  const report = createReport();
  expect(parseResult(JSON.stringify(report), { nodes: ASKED })).toEqual(report);
});

describe('an invalid value is refused with node, field and value', () => {
  test.each<[string, (report: AnsibleResult) => unknown]>([
    [
      "node-2: observation.record.digest is \"{{ lookup('pipe', 'id') }}\", expected an image by digest, e.g. postgres@sha256:<64 hex digits>",
      ({ observations: [, node] }) =>
        Object.assign(node?.record ?? {}, { digest: "{{ lookup('pipe', 'id') }}" }),
    ],
    [
      'node-1: observation.host.imageDigest is "sha256:0", expected sha256: and 64 hex digits',
      ({ observations: [node] }) => Object.assign(node?.host ?? {}, { imageDigest: 'sha256:0' }),
    ],
    [
      'node-1: observation.host.memoryMib is -1, expected a whole number from 0 to 67108864',
      ({ observations: [node] }) => Object.assign(node?.host ?? {}, { memoryMib: -1 }),
    ],
    [
      'node-1: observation.container.state is "::error::x", expected one of created, running, paused, restarting, removing, exited, dead',
      ({ observations: [node] }) => Object.assign(node?.container ?? {}, { state: '::error::x' }),
    ],
    [
      'node-1: observation.postgres.settings.max_connections.setting is "many", expected a whole number',
      ({ observations: [node] }) =>
        Object.assign(node?.postgres?.settings.max_connections ?? {}, { setting: 'many' }),
    ],
    [
      'node-1: observation.overrides."x\\ny" is such a name, expected the lower-case name of a setting',
      ({ observations: [node] }) => Object.assign(node?.overrides ?? {}, { 'x\ny': '1' }),
    ],
    [
      'node-1: observation.overrides is an object of 2, expected no name __proto__ in it',
      ({ observations: [node] }) =>
        Object.defineProperty(node?.overrides, '__proto__', { value: '1', enumerable: true }),
    ],
    [
      'node-2: proof.timeline is missing, expected a whole number from 0 to 4294967295',
      ({ proof: [, line] }) => delete (line as { timeline?: unknown }).timeline,
    ],
    [
      'a node: observations.0.name is "root", expected the name of a node, e.g. node-1',
      ({ observations: [node] }) => Object.assign(node ?? {}, { name: 'root' }),
    ],
    [
      'a node: observations is 5, expected a list',
      (report) => Object.assign(report, { observations: 5 }),
    ],
    [
      'node-9: is in the report and was not asked',
      ({ observations: [node] }) => Object.assign(node ?? {}, { name: 'node-9' }),
    ],
    [
      'node-1: is in the report more than once',
      ({ proof: [, line] }) => Object.assign(line ?? {}, { name: 'node-1' }),
    ],
  ])('%s', (problem, bend) => {
    const [first, ...rest] = refuse(bend);
    expect(first).toBe(problem);
    expect(rest.at(-1)).toMatch(/^Nothing that was reported is used\./);
  });
});

test('every form of an image reference is valid', () => {
  for (const digest of [DIGEST, `postgres@${DIGEST}`, `r.example:5000/a/b@${DIGEST}`]) {
    const problems = refuse(({ observations }) => {
      for (const { record } of observations) Object.assign(record ?? {}, { digest });
    });
    expect(problems).toEqual([]);
  }
});

test('the first problems are shown, and the number of the others', () => {
  const problems = refuse(({ observations }) => {
    for (const { host } of observations) {
      for (const key of Object.keys(host)) Object.assign(host, { [key]: {} });
    }
  });
  expect(problems).toHaveLength(12);
  expect(problems.at(-2)).toBe('And 17 more of the kind.');
});

describe('a malformed report', () => {
  test('is not quoted', () => {
    const read = () => parseResult('::add-mask::x\n{"', { nodes: ASKED });
    expect(read).toThrow(UserError);
    expect(read).toThrow("The nodes' report is not JSON (16 bytes).");
    expect(read).not.toThrow(/add-mask/);
  });

  test('is not read if it is too large', () => {
    const read = () => parseResult(' '.repeat(RESULT_BYTES + 1), { nodes: ASKED });
    expect(read).toThrow(UserError);
    expect(read).toThrow(`at most ${RESULT_BYTES} are read`);
  });
});

test('sentences for readers are shown unchanged, and cut if they are long', () => {
  const report = createReport();
  Object.assign(report.failures[0] ?? {}, { message: 'a\u202eb\r\u0007', log: 'x'.repeat(9_000) });
  const [failure] = parseResult(JSON.stringify(report), { nodes: ASKED }).failures;
  expect(failure?.message).toBe('a<U+202E>b\n<U+0007>');
  expect(failure?.log).toHaveLength(8_000);
});
