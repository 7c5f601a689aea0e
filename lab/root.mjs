// @ts-check
// The one door to what only root may do: debootstrap, loop devices, packet filters, packages, dockerd.
//
// The lab itself runs as the user who started it, so its files stay that user's, and asks for root one program at a
// time. That is `sudo -n` and not a privileged container: the first image is made by debootstrap, which needs root
// before any container can be started. Plain JavaScript, because bootstrap.mjs runs on whatever Node the machine has.

/** Where root's programs are: the PATH of an ordinary user lacks the sbin folders, and so may root's own. */
export const ROOT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Variables that pass through: sudo drops them, and a machine behind a proxy downloads nothing without. */
const PASSED = ['http_proxy', 'https_proxy', 'no_proxy'];

/**
 * Returns the command that runs a program as root: the program itself for root, through `sudo -n` for anybody else.
 * sudo(8) resets the environment and env(1) looks the program up in ROOT_PATH, so both callers get the same one.
 *
 * @param {string} program name, or absolute path
 * @param {readonly string[]} args
 * @param {{ uid?: number | undefined, env?: Readonly<Record<string, string | undefined>> }} [caller] who asks; default: this process
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
