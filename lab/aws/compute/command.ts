import { spawn } from 'node:child_process';
import { asRoot } from '../../root.mjs';

/**
 * Runs a command and returns its trimmed output. `input` goes to its standard input.
 * Throws with the command and its last output if it fails.
 */
export function runCommand(
  program: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let printed = '';
    let complaint = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    // A command that ends before it has read all input is judged by its exit code.
    child.stdin.on('error', () => {}).end(input ?? '');
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(printed.trim());
      else
        reject(
          new Error(
            `\`${program} ${args.join(' ')}\` exited with ${code}: ${complaint.trim().slice(-800)}`,
          ),
        );
    });
  });
}

/** Runs a command as root: see runCommand and lab/root.mjs. */
export function runAsRoot(
  program: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const asked = asRoot(program, args);
  return runCommand(asked.program, asked.args, input);
}

/** Runs the Docker client: see runCommand. */
export function runDocker(...args: string[]): Promise<string> {
  return runCommand('docker', args);
}
