import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { z } from 'zod';
import type { Node } from '../cluster/node.ts';
import type { NodeProgress } from '../cluster/progress.ts';
import { decimal, flag, object, oneOf, wholeNumber } from './reported-values.ts';
import { type Route, sshAddress } from './route.ts';

/** What a node answered when it was asked for its progress. */
export type ProgressAnswer =
  /** It did not answer over SSH. */
  | { readonly kind: 'silent' }
  /** It answered and reports no progress, or none that is valid. */
  | { readonly kind: 'none' }
  | { readonly kind: 'progress'; readonly progress: NodeProgress };

/** The file that a node's work writes (playbooks/module_utils/postgres_cluster). */
const FILE = '/run/postgres-cluster/progress.json';
/** The longest answer that is read. */
const MAX_BYTES = 4096;
const TIMEOUT_MS = 10_000;
/** ssh(1), "EXIT STATUS": an error of ssh itself, not of the command. */
const SSH_FAILED = 255;

const bytes = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const time = decimal(0, 1e11);
const progressSchema = object({
  kind: oneOf(['copy', 'restore', 'backup', 'recovery', 'replay', 'verification']),
  done: bytes,
  total: bytes.nullable(),
  started: time,
  updated: time,
  working: flag,
  reached: time.nullable().optional(),
}) satisfies z.ZodType<NodeProgress>;

/** How ssh reaches the nodes. */
export interface ProgressAccess {
  readonly sshUser: string;
  readonly sshConfigFile: string;
  /** Folder of the sockets of Ansible's connections, which are used here as well; null if none stays open. */
  readonly sockets: string | null;
  readonly route: Route;
  /** The whole environment of ssh. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Asks a node for its progress, over Ansible's connection to it if there is one. A node that does not answer in time is
 * `silent`; nothing is thrown.
 */
export async function readProgress(
  node: Node,
  access: ProgressAccess,
  signal: AbortSignal,
): Promise<ProgressAnswer> {
  const options = {
    HostKeyAlias: node.instanceId,
    // As in playbooks/ansible.cfg.
    ...(access.sockets === null
      ? { ControlMaster: 'no', ControlPath: 'none' }
      : {
          ControlMaster: 'auto',
          ControlPersist: '120s',
          ControlPath: join(access.sockets, CONTROL_SOCKET),
        }),
    PreferredAuthentications: 'publickey',
    ServerAliveInterval: '15',
    BatchMode: 'yes',
    ConnectTimeout: '5',
  };
  const args = [
    ...['-F', access.sshConfigFile, '-T', '-l', access.sshUser],
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...['--', sshAddress(node, access.route), `cat ${FILE}`],
  ];
  const answer = await runSsh(args, { environment: access.environment, signal });
  if (answer === null) return { kind: 'silent' };
  const progress = parseProgress(answer);
  return progress === null ? { kind: 'none' } : { kind: 'progress', progress };
}

/** Name of a connection's socket: `%h` is the node's address (ssh_config(5), "TOKENS"). Short, as a socket's path must be. */
export const CONTROL_SOCKET = '%h';

/** Returns the progress that a node reports; null if it is not one that its work writes. */
export function parseProgress(text: string): NodeProgress | null {
  try {
    return progressSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** Returns what the command printed, '' if it failed; null if the node did not answer. */
function runSsh(
  args: readonly string[],
  options: { environment: Readonly<Record<string, string>>; signal: AbortSignal },
): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn('ssh', args, {
      cwd: '/',
      env: options.environment,
      // A new connection stays open in the background, and older versions of ssh keep its standard error open.
      stdio: ['ignore', 'pipe', 'ignore'],
      signal: options.signal,
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.length > MAX_BYTES) child.kill('SIGKILL');
    });
    // Aborted, or ssh is not there.
    child.once('error', () => resolve(null));
    child.once('close', (code) => {
      if (text.length > MAX_BYTES) resolve('');
      else if (code === null || code === SSH_FAILED) resolve(null);
      else resolve(code === 0 ? text : '');
    });
  });
}
