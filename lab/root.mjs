// @ts-check
// The only place that runs programs as root: debootstrap, loop devices, packet filters, packages, dockerd.
//
// The lab itself runs as the user who started it, so that user owns its files; single programs run as root. They run
// through `sudo -n`, not in a privileged container: debootstrap makes the first image, and it needs root before any
// container can start. Plain JavaScript, because bootstrap.mjs runs on the machine's own Node.

/** The PATH of root's programs. An ordinary user's PATH lacks the sbin folders, and root's own may too. */
export const ROOT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Variables to pass on: sudo drops them, and a machine behind a proxy needs them to download anything. */
const PASSED = ['http_proxy', 'https_proxy', 'no_proxy'];

/**
 * Returns the command that runs a program as root: the program itself for root, `sudo -n` for other users. sudo(8)
 * resets the environment and env(1) looks the program up in ROOT_PATH, so both run the same program.
 *
 * @param {string} program name, or absolute path
 * @param {readonly string[]} args
 * @param {{ uid?: number | undefined, env?: Readonly<Record<string, string | undefined>> }} [caller] the caller; default: this process
 * @returns {{ program: string, args: string[] }}
 */
export function asRoot(program, args, caller = {}) {
  const { uid = process.getuid?.(), env = process.env } = caller;
  const settings = [`PATH=${ROOT_PATH}`, 'DEBIAN_FRONTEND=noninteractive'];
  for (const name of PASSED) if (env[name]) settings.push(`${name}=${env[name]}`);
  const command = ['/usr/bin/env', ...settings, program, ...args];
  const [first = '', ...rest] = uid === 0 ? command : ['sudo', '-n', ...command];
  return { program: first, args: rest };
}
