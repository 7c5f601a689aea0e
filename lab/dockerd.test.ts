import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { askDocker, removeStalePidFile, startDocker, stopDocker } from './dockerd.mjs';

let folder: string;
let note: string;
let pidFile: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgca-dockerd-'));
  note = join(folder, 'dockerd.pid');
  pidFile = join(folder, 'docker.pid');
  // Root is not needed: the daemons are this process's own.
  writeProgram('sudo', 'shift; exec "$@"');
  vi.stubEnv('PATH', `${folder}${delimiter}${process.env.PATH}`);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function writeProgram(name: string, script: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** Starts a program that reports when it is ready and takes half a second to end. */
async function startSlow(name: string): Promise<{ pid: number; end: () => void }> {
  const script = "trap 'sleep 0.5; exit' TERM; echo ready; while :; do sleep 0.05; done";
  const child = spawn(writeProgram(name, script), { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  return { pid: child.pid as number, end: () => child.kill('SIGKILL') };
}

/** A zombie has ended; this process has not waited for it yet. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('askDocker', () => {
  const socket = 'unix:///var/run/docker.sock';
  test.each([
    ['yes', 'exit 0'],
    ['no', `echo "Cannot connect to the Docker daemon at ${socket}. Is it running?" >&2; exit 1`],
    ['denied', `echo "Got permission denied while trying to connect to ${socket}" >&2; exit 1`],
    ['denied', `echo "permission denied while trying to connect to the docker API" >&2; exit 1`],
  ])('%s', (answer, script) => {
    writeProgram('docker', script);
    expect(askDocker()).toBe(answer);
  });
});

test('startDocker tells a user without access how to get it', async () => {
  writeProgram('docker', 'echo "permission denied" >&2; exit 1');
  await expect(startDocker(folder, () => {})).rejects.toThrow(/sudo usermod -aG docker \S+\)/);
});

describe('stopDocker', () => {
  test('returns after the daemon has ended, not when it is signalled', async () => {
    const { pid } = await startSlow('dockerd');
    writeFileSync(note, `${pid}\n`);
    expect(await stopDocker(folder, pidFile)).toBe(true);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(note)).toBe(false);
  });

  test('leaves another program alone that has the process id by now', async () => {
    const { pid, end } = await startSlow('other');
    writeFileSync(note, `${pid}\n`);
    expect(await stopDocker(folder)).toBe(false);
    expect(isAlive(pid)).toBe(true);
    expect(existsSync(note)).toBe(false);
    end();
  });

  test('does nothing if the daemon is gone or was never started', async () => {
    expect(await stopDocker(folder)).toBe(false);
    writeFileSync(note, `${2 ** 22}\n`);
    expect(await stopDocker(folder)).toBe(false);
  });

  test('removes the pid file that a killed daemon left', async () => {
    const { pid } = await startSlow('dockerd');
    writeFileSync(note, `${pid}\n`);
    writeFileSync(pidFile, `${pid}`);
    expect(await stopDocker(folder, pidFile)).toBe(true);
    expect(existsSync(pidFile)).toBe(false);
  });
});

describe('removeStalePidFile', () => {
  test('keeps the file of a running daemon', async () => {
    const { pid, end } = await startSlow('dockerd');
    writeFileSync(pidFile, `${pid}`);
    removeStalePidFile(pidFile);
    expect(existsSync(pidFile)).toBe(true);
    end();
  });

  test('removes a file that names another program or no process', async () => {
    for (const pid of [process.pid, 2 ** 22]) {
      writeFileSync(pidFile, `${pid}`);
      removeStalePidFile(pidFile);
      expect(existsSync(pidFile)).toBe(false);
    }
    expect(() => removeStalePidFile(pidFile)).not.toThrow();
  });
});
