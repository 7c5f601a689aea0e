import { spawn } from 'node:child_process';
import { asRoot } from '../root.mjs';

/** How to run a command: its directory, and a callback for its output. */
export type CommandOptions = { cwd?: string; onLine?: (line: string) => void };

/** A failed command: the command line, its exit code and the end of its output. */
export class CommandError extends Error {
  constructor(command: string, code: number | null, output: string) {
    const end = output.trim().split('\n').slice(-12).join('\n');
    super(`\`${command}\` exited with ${code}:\n${end}`);
    this.name = 'CommandError';
  }
}

/**
 * Runs a command and returns its trimmed standard output; each line of both streams goes to `onLine`.
 * Throws a CommandError on a non-zero exit code, and the system's error if it cannot be started.
 */
export function runCommand(
  command: string,
  args: string[],
  options: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      // The lab's Dockerfiles build on images of the local daemon, which the classic builder always finds.
      env: { ...process.env, DOCKER_BUILDKIT: '0', DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let all = '';
    let partial = '';
    const take = (text: string) => {
      all += text;
      const lines = (partial + text).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) if (line.trim()) options.onLine?.(line.trimEnd());
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      take(text);
    });
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(stdout.trim());
      else reject(new CommandError([command, ...args].join(' '), code, all));
    });
  });
}

/** Runs a command as root: see runCommand and root.mjs. */
export function runAsRoot(
  command: string,
  args: string[],
  options: CommandOptions = {},
): Promise<string> {
  const asked = asRoot(command, args);
  return runCommand(asked.program, asked.args, options);
}

/** Runs the Docker client: see runCommand. */
export function runDocker(args: string[], options: CommandOptions = {}): Promise<string> {
  return runCommand('docker', args, options);
}
