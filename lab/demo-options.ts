import { type ParseArgsConfig, parseArgs } from 'node:util';
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
 * Reads the arguments of `npm run demo --`; `env` is the environment that npm sets.
 *
 * @throws Error that says which argument is wrong and what is allowed
 */
export function readDemoOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): DemoOptions {
  const { values, positionals } = parseOptions(args, {
    options: {
      'ssh-via': { type: 'string', default: 'instance-connect-endpoint' },
      destroy: { type: 'boolean', default: false },
    },
    env,
    usage: USAGE,
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
        `${JSON.stringify(line)} does not begin with a key of the cluster's file. Give a whole line in quotes, e.g. 'max_connections: 150'.`,
      );
    }
  }
  if (values.destroy && positionals.length > 0) {
    throw new Error('--destroy: a cluster is changed or destroyed, not both. Leave the lines out.');
  }
  return { sshVia, destroy: values.destroy, changes: positionals };
}

const DOWN_USAGE = [
  'Usage: npm run demo:down                   removes the lab with its images',
  '       npm run demo:down -- --keep-images  keeps the images',
].join('\n');

/** Reads the arguments of `npm run demo:down --`; `world` is the name of the world to remove. */
export function readDownOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): { world: string; keepImages: boolean } {
  const { values, positionals } = parseOptions(args, {
    options: { 'keep-images': { type: 'boolean', default: false } },
    env,
    usage: DOWN_USAGE,
  });
  return { world: positionals[0] ?? 'lab', keepImages: values['keep-images'] };
}

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * Parses arguments. npm keeps options before `--` for itself, in variables of `env`.
 *
 * @throws Error with `usage` if an option is unknown or was kept by npm
 */
function parseOptions<const Given extends Options>(
  args: readonly string[],
  {
    options,
    env,
    usage,
  }: { options: Given; env: Readonly<Record<string, string | undefined>>; usage: string },
) {
  const kept = Object.keys(options).find(
    (name) => env[`npm_config_${name.replaceAll('-', '_')}`] !== undefined,
  );
  if (kept !== undefined) throw new Error(`Two dashes must come before --${kept}.\n${usage}`);
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('. ');
    throw new Error(`${reason}.\n${usage}`, { cause: error });
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
