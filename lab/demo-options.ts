import { parseArgs } from 'node:util';
import type { SshVia } from './world.ts';

/** What the demo is asked to do. */
export interface DemoOptions {
  readonly sshVia: SshVia;
  /** Removes the cluster instead of changing it. */
  readonly destroy: boolean;
  /** Lines of the cluster file to change, e.g. `max_connections: 150`. */
  readonly changes: readonly string[];
}

const LINE = /^([a-z_]+): \S/;

/**
 * Reads the arguments of `npm run demo --`.
 *
 * @throws Error that says which argument is wrong and what is allowed
 */
export function readDemoOptions(args: readonly string[]): DemoOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      'ssh-via': { type: 'string', default: 'instance-connect-endpoint' },
      destroy: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const sshVia = values['ssh-via'];
  if (sshVia !== 'direct' && sshVia !== 'instance-connect-endpoint') {
    throw new Error(
      `--ssh-via: ${sshVia} is not allowed. Give instance-connect-endpoint or direct.`,
    );
  }
  for (const line of positionals) {
    if (!LINE.test(line)) {
      throw new Error(
        `${JSON.stringify(line)} is not a line of a cluster file. Give one in quotes, e.g. 'max_connections: 150'.`,
      );
    }
  }
  if (values.destroy && positionals.length > 0) {
    throw new Error('--destroy: a cluster is changed or destroyed, not both. Leave the lines out.');
  }
  return { sshVia, destroy: values.destroy, changes: positionals };
}

/** Returns the lines of a cluster file with `changes`, each of which replaces the line of its key or is added. */
export function changeLines(lines: readonly string[], changes: readonly string[]): string[] {
  const changed = [...lines];
  for (const line of changes) {
    const key = `${LINE.exec(line)?.[1]}:`;
    const at = changed.findIndex((one) => one.startsWith(key));
    changed.splice(at === -1 ? changed.length : at, at === -1 ? 0 : 1, line);
  }
  return changed;
}
