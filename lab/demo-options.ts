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

const USAGE = [
  'Usage: npm run demo                          deploys a cluster, or changes nothing about it',
  "       npm run demo -- 'max_connections: 150' changes a line of its file",
  '       npm run demo -- --destroy              destroys it',
  '       npm run demo -- --ssh-via direct       opens port 22 instead of using an endpoint',
].join('\n');

/**
 * Reads the arguments of `npm run demo --`. npm keeps options before `--` for itself, in variables of `env`.
 *
 * @throws Error that says which argument is wrong and what is allowed
 */
export function readDemoOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): DemoOptions {
  for (const name of ['destroy', 'ssh_via']) {
    if (env[`npm_config_${name}`] !== undefined) {
      throw new Error(`Two dashes must come before the options of the demo.\n${USAGE}`);
    }
  }
  const { values, positionals } = parseOptions(args);
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

function parseOptions(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        'ssh-via': { type: 'string', default: 'instance-connect-endpoint' },
        destroy: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    });
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('. ');
    throw new Error(`${reason}.\n${USAGE}`, { cause: error });
  }
}

/** Returns a comment for a terminal: without markers, and with `file` in place of Terraform's own text. */
export function foldPlan(comment: string, file: string): string {
  return comment
    .replace(/^<!--.*-->\n/gm, '')
    .replace(
      /<details><summary>The whole plan<\/summary>\n(.*?)<\/details>/s,
      (_, plan: string) => `The whole plan (${plan.split('\n').length} lines) is in ${file}`,
    );
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
