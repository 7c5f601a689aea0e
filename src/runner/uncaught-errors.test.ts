import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const MODULE = join(import.meta.dirname, 'uncaught-errors.ts');

/** Runs `script` in a process whose uncaught errors are reported as `reported: …`. */
function runScript(script: string, report = "console.log('reported: ' + error.message)") {
  const source = `
    import { exitOnUncaughtErrors } from ${JSON.stringify(MODULE)};
    exitOnUncaughtErrors(async (error) => { ${report} });
    ${script}
    setInterval(() => {}, 1000);`;
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', source],
    { encoding: 'utf8', timeout: 20_000 },
  );
  return { status, lines: stdout.trim().split('\n') };
}

describe('an error that nothing caught', () => {
  test.each([
    ['in an event handler', "setTimeout(() => { throw new Error('lost'); });"],
    ['as a rejection', "Promise.reject(new Error('lost'));"],
  ])('is reported, and the process exits with 1: %s', (_, script) => {
    expect(runScript(script)).toEqual({ status: 1, lines: ['reported: lost'] });
  });

  test('is reported once, without the errors that follow from it', () => {
    const script = "for (const name of ['first', 'second']) Promise.reject(new Error(name));";
    expect(runScript(script).lines).toEqual(['reported: first']);
  });

  test('is shown even if its report fails', () => {
    const { status, lines } = runScript(
      "Promise.reject(new Error('lost'));",
      "throw new Error('broken')",
    );
    expect(status).toBe(1);
    expect(lines).toEqual(['::error::lost (and its report failed: broken)']);
  });
});
