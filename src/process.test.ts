import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { UserError } from './errors.ts';
import { ProcessError, runProcess } from './process.ts';

describe('runProcess', () => {
  test('gives output line by line and as a whole', async () => {
    const lines: string[] = [];
    const result = await runProcess('sh', ['-c', 'echo one; echo two; echo bad >&2'], {
      onLine: (line) => lines.push(line),
    });
    expect(lines).toEqual(['one', 'two']);
    expect(result).toEqual({ exitCode: 0, stdout: 'one\ntwo\n', stderr: 'bad\n' });
  });

  test('arguments are not read by a shell', async () => {
    const { stdout } = await runProcess('echo', ['$(id); *']);
    expect(stdout).toBe('$(id); *\n');
  });

  test('an unexpected exit code carries the error output', async () => {
    const failing = runProcess('sh', ['-c', 'echo broken >&2; exit 3']);
    await expect(failing).rejects.toThrow(ProcessError);
    await expect(failing).rejects.toThrow('sh -c exited with 3\nbroken');
    const accepted = await runProcess('sh', ['-c', 'exit 2'], { accept: [0, 2] });
    expect(accepted.exitCode).toBe(2);
  });

  test('a missing program is the user’s to install', async () => {
    const missing = runProcess('no-such-program', []);
    await expect(missing).rejects.toThrow(UserError);
    await expect(missing).rejects.toThrow('no-such-program: not found on PATH');
  });

  test('a child that does not read its input is no error', async () => {
    const { exitCode } = await runProcess('true', [], { input: 'x'.repeat(1_000_000) });
    expect(exitCode).toBe(0);
  });
});

test('a cancelled job interrupts the children and their children once, and waits for them', async () => {
  // Both shells are in the foreground: a shell ignores SIGINT in what it sends to the background.
  const grandchild =
    'trap "echo grandchild interrupted; exit 0" INT; echo ready; while :; do sleep 0.05; done';
  const child = `trap 'echo child interrupted; exit 0' INT; sh -c '${grandchild}'; sleep 5`;
  const script = `
    import { forwardSignals, runProcess } from ${JSON.stringify(join(import.meta.dirname, 'process.ts'))};
    forwardSignals();
    try {
      await runProcess('sh', ['-c', ${JSON.stringify(child)}], { onLine: console.log });
    } catch (error) {
      console.log(error.name);
    }`;
  const entry = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  entry.stdout.on('data', (chunk: Buffer) => {
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
