import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { ProcessError, type ProcessOptions, runProcess as run } from './child-process.ts';
import { awaitSurvivor, type Survivor } from './survivor.ts';

const env = { PATH: process.env.PATH ?? '' };
const runProcess = (
  command: string,
  args: readonly string[],
  options: Partial<ProcessOptions> = {},
) => run(command, args, { env, ...options });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'process-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('runProcess', () => {
  test('returns the output line by line and as a whole', async () => {
    const lines: string[] = [];
    const result = await runProcess('sh', ['-c', 'echo one; echo two; echo bad >&2'], {
      onLine: (line) => lines.push(line),
    });
    expect(lines).toEqual(['one', 'two']);
    expect(result).toEqual({ exitCode: 0, stdout: 'one\ntwo\n', stderr: 'bad\n' });
  });

  test('its own environment does not reach the child', async () => {
    const { stdout } = await runProcess('env', [], { env: { ...env, ONE: '1' } });
    expect(stdout.trim().split('\n').sort()).toEqual(['ONE=1', `PATH=${env.PATH}`]);
  });

  test('arguments are not interpreted by a shell', async () => {
    const { stdout } = await runProcess('echo', ['$(id); *']);
    expect(stdout).toBe('$(id); *\n');
  });

  test('an unexpected exit code carries the error output', async () => {
    const failing = runProcess('sh', ['-c', 'echo broken >&2; exit 3']);
    await expect(failing).rejects.toThrow(ProcessError);
    await expect(failing).rejects.toThrow('sh -c exited with 3\nbroken');
  });

  test('a missing program must be installed by the user', async () => {
    const missing = runProcess('no-such-program', []);
    await expect(missing).rejects.toThrow(UserError);
    await expect(missing).rejects.toThrow('no-such-program: not found on PATH');
  });

  test('a child has an empty standard input', async () => {
    expect((await runProcess('cat', [])).stdout).toBe('');
  });

  describe('with a child that may outlive its parent', () => {
    const announced: (Survivor | null)[] = [];
    const lines: string[] = [];
    const run = (command: string, args: string[]) =>
      runProcess(command, args, {
        onLine: (line) => lines.push(line),
        outlives: { temporary: folder, announce: (child) => announced.push(child) },
      });
    beforeEach(() => {
      announced.length = 0;
      lines.length = 0;
    });

    test('returns the same output, whatever its chunks are', async () => {
      const script = 'printf "gr\\303"; sleep 0.3; printf "\\274n\\n\\ntwo"; echo bad >&2';
      const result = await run('sh', ['-c', script]);
      expect(result).toEqual({ exitCode: 0, stdout: 'grün\n\ntwo\n', stderr: 'bad\n' });
      expect(lines).toEqual(['grün', '', 'two']);
      expect(announced).toEqual([
        {
          pid: expect.any(Number),
          startTime: expect.stringMatching(/^\d+$/),
          what: 'sh -c',
          output: expect.stringContaining(folder),
        },
        null,
      ]);
    });

    test('writes the output to files that only this user can read', async () => {
      await run('sh', ['-c', 'echo secret']);
      const output = announced[0]?.output ?? '';
      const modes = [output, ...readdirSync(output).map((name) => join(output, name))].map(
        (path) => statSync(path).mode & 0o777,
      );
      expect(modes).toEqual([0o700, 0o600, 0o600, 0o600]);
    });

    test('fails like any other', async () => {
      await expect(run('sh', ['-c', 'echo broken >&2; exit 3'])).rejects.toThrow(
        'exited with 3\nbroken',
      );
      await expect(run('no-such-program', [])).rejects.toThrow('not found on PATH');
      expect(announced.at(-1)).toBeNull();
    });

    test('is not confused with a later process that has the same pid', async () => {
      await run('sh', ['-c', 'echo one']);
      const other = { ...(announced[0] as Survivor), pid: process.pid };
      expect(await awaitSurvivor(other, { timeout: 0, onLine: () => {} })).toBe(true);
    });
  });
});

test('a cancelled job interrupts the children and their children once, and waits for them', async () => {
  // Both shells run in the foreground, because a shell makes background commands ignore SIGINT.
  const grandchild =
    'trap "echo grandchild interrupted; exit 0" INT; echo ready; while :; do sleep 0.05; done';
  const child = `trap 'echo child interrupted; exit 0' INT; sh -c '${grandchild}'; sleep 5`;
  const entry = startEntry(`
    try {
      await runProcess('sh', ['-c', ${JSON.stringify(child)}], { onLine: console.log });
    } catch (error) {
      console.log(error.name);
    }`);
  let output = '';
  entry.stdout?.on('data', (chunk: Buffer) => {
    if (!output.includes('ready') && chunk.includes('ready')) entry.kill('SIGINT');
    output += chunk;
  });
  await once(entry, 'close');
  expect(output.trim().split('\n')).toEqual([
    'ready',
    'grandchild interrupted',
    'child interrupted',
    'CancelledError',
  ]);
});

test('a cancelled job interrupts killable children repeatedly, and then kills them with their children', async () => {
  // One loses the first interrupt, one every interrupt, and one has left a child that does.
  const loop = 'echo ready; while :; do sleep 0.05; done';
  const children = {
    second: `trap 'trap "echo heard; exit 1" INT' INT; ${loop}`,
    never: `trap '' INT; ${loop}`,
    orphan: `(trap '' INT; ${loop}) &`,
  };
  const entry = startEntry(`
    for (const [name, script] of Object.entries(${JSON.stringify(children)})) {
      runProcess('sh', ['-c', script], { onLine: console.log, interrupt: 'insistently' }).catch(
        (error) => console.log(name, error.name),
      );
    }`);
  const lines: string[] = [];
  for await (const line of createInterface({ input: entry.stdout as Readable })) {
    lines.push(line);
    if (line === 'ready' && lines.length === 3) entry.kill('SIGINT');
  }
  const [heard, ...ends] = lines.slice(3);
  expect(heard).toBe('heard');
  expect(ends[0]).toBe('second CancelledError');
  expect(ends.slice(1).sort()).toEqual(['never CancelledError', 'orphan CancelledError']);
});

test('endChildren interrupts the children and waits for them, and new ones are refused', async () => {
  const child =
    'trap "sleep 0.3; echo ended; exit 0" INT; echo ready; while :; do sleep 0.05; done';
  const entry = startEntry(`
    const start = (onLine) => runProcess('sh', ['-c', ${JSON.stringify(child)}], { onLine }).catch(
      (error) => console.log(error.name),
    );
    await new Promise((resolve) => {
      start((line) => { console.log(line); if (line === 'ready') resolve(); });
    });
    await endChildren();
    console.log('over');
    await start(console.log);`);
  const lines: string[] = [];
  for await (const line of createInterface({ input: entry.stdout as Readable })) lines.push(line);
  expect(lines[0]).toBe('ready');
  expect(lines.indexOf('ended')).toBeLessThan(lines.indexOf('over'));
  expect(lines.filter((line) => line === 'CancelledError')).toHaveLength(2);
});

describe('a child that outlives its parent', () => {
  /** Two seconds of work are left at the interrupt. */
  const child = (file: string) => `
    trap 'left=40' INT
    line=0 left=1000
    while [ $left -gt 0 ]; do
      line=$((line+1)) left=$((left-1))
      echo "line $line"
      sleep 0.05
    done
    echo 'last words' >&2
    echo "$line" > ${file}`;

  /** Starts such a child, lets it hear of a cancel and kills its parent in the middle of the rest. */
  async function killParent(file: string): Promise<{ survivor: Survivor; seen: string[] }> {
    const entry = startEntry(`
      await runProcess('sh', ['-c', ${JSON.stringify(child(file))}], {
        onLine: console.log,
        outlives: {
          temporary: ${JSON.stringify(folder)},
          announce: (child) => console.log(JSON.stringify(child)),
        },
      });`);
    const exit = once(entry, 'exit');
    const seen: string[] = [];
    for await (const line of createInterface({ input: entry.stdout as Readable })) {
      seen.push(line);
      if (line === 'line 5') {
        entry.kill('SIGINT');
        setTimeout(() => entry.kill('SIGKILL'), 500);
      }
    }
    expect(await exit).toEqual([null, 'SIGKILL']);
    const [announced = '', ...lines] = seen;
    return { survivor: JSON.parse(announced) as Survivor, seen: lines };
  }

  test('finishes, and no output is lost', async () => {
    const file = join(folder, 'finished');
    const { survivor, seen } = await killParent(file);
    expect(existsSync(file)).toBe(false);
    const rest: string[] = [];
    const ended = await awaitSurvivor(survivor, {
      timeout: 10_000,
      onLine: (line) => rest.push(line),
    });
    expect(ended).toBe(true);
    const count = Number(readFileSync(file, 'utf8'));
    expect(count).toBeGreaterThan(40);
    expect(rest.pop()).toBe('last words');
    // A kill between a line and the update of the position repeats that line.
    expect([...new Set([...seen, ...rest])]).toEqual(
      Array.from({ length: count }, (_, index) => `line ${index + 1}`),
    );
    expect(rest.length).toBeLessThan(count - 5);
  });

  test('is waited for at most as long as requested', async () => {
    const { survivor } = await killParent(join(folder, 'late'));
    const waiting = { timeout: 200, onLine: () => {} };
    expect(await awaitSurvivor(survivor, waiting)).toBe(false);
    expect(await awaitSurvivor(survivor, { ...waiting, timeout: 10_000 })).toBe(true);
  });
});

/** An entry process as the runner starts it, which hears signals and runs `body`. */
function startEntry(body: string): ChildProcess {
  const [cancellation, childProcess] = ['cancellation.ts', 'child-process.ts'].map((file) =>
    JSON.stringify(join(import.meta.dirname, file)),
  );
  const script = `
    import { endChildren, forwardSignals } from ${cancellation};
    import { runProcess as run } from ${childProcess};
    const runProcess = (command, args, options) =>
      run(command, args, { env: { PATH: process.env.PATH }, ...options });
    forwardSignals();
    ${body}`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
