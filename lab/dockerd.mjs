// @ts-check
// Starts a Docker daemon if none answers, and stops it again. Plain JavaScript: see root.mjs.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { asRoot } from './root.mjs';

/** dockerd's own default. With another file, a second daemon would start beside the first. */
const PID_FILE = '/var/run/docker.pid';

const START_MS = 30_000;
const STOP_MS = 60_000;

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Asks whether a Docker daemon answers: `yes`, `no`, or `denied` if this user may not talk to it.
 *
 * @returns {'yes' | 'no' | 'denied'}
 */
export function askDocker() {
  // Not `docker info`: before 23.0 it does not report a denied connection when a format is given.
  const { status, stderr } = spawnSync('docker', ['ps', '--quiet'], { encoding: 'utf8' });
  if (status === 0) return 'yes';
  return /permission denied/i.test(stderr ?? '') ? 'denied' : 'no';
}

/**
 * Uses the Docker daemon that answers. If none does, starts one as root and saves its process id in `folder`, for
 * stopDocker.
 *
 * @param {string} folder gets the process id and the daemon's log
 * @param {(line: string) => void} say
 * @throws {Error} if this user may not talk to the daemon, or a started one does not answer within 30 s
 */
export async function startDocker(folder, say) {
  const before = askDocker();
  if (before === 'denied') throw new Error(describeDenial());
  if (before === 'yes') return;
  say('starting a Docker daemon');
  removeStalePidFile(PID_FILE);
  mkdirSync(folder, { recursive: true });
  const logFile = join(folder, 'dockerd.log');
  const log = openSync(logFile, 'a');
  const { program, args } = asRoot('dockerd', []);
  const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log] });
  let ended = false;
  child.on('error', () => {
    ended = true;
  });
  child.on('exit', () => {
    ended = true;
  });
  child.unref();
  const deadline = Date.now() + START_MS;
  while (!ended && Date.now() < deadline) {
    const answer = askDocker();
    if (answer === 'no') {
      await sleep(250);
      continue;
    }
    // Not the child's process id: for an ordinary user that is sudo's.
    writeFileSync(locatePid(folder), readFileSync(PID_FILE, 'utf8'));
    if (answer === 'denied') throw new Error(describeDenial());
    return;
  }
  const what = ended ? 'ended' : `did not answer within ${START_MS / 1000} s`;
  throw new Error(`dockerd ${what}:\n${readFileSync(logFile, 'utf8').slice(-2000)}`);
}

/**
 * Stops the daemon that startDocker started, if it still runs. Returns after the process has ended: until then its pid
 * file keeps the next daemon from starting.
 *
 * @param {string} folder the one given to startDocker
 * @param {string} [pidFile] dockerd's own
 * @returns {Promise<boolean>} whether a daemon was stopped
 * @throws {Error} if it cannot be signalled, or still runs after 60 s
 */
export async function stopDocker(folder, pidFile = PID_FILE) {
  const saved = locatePid(folder);
  if (!existsSync(saved)) return false;
  const pid = Number(readFileSync(saved, 'utf8'));
  const found = isDaemon(pid);
  if (found) {
    const { program, args } = asRoot('sh', ['-c', 'kill "$1"', 'sh', `${pid}`]);
    const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
    if (status !== 0)
      throw new Error(`The Docker daemon (process ${pid}) was not stopped: ${error ?? stderr}`);
    const deadline = Date.now() + STOP_MS;
    while (isDaemon(pid)) {
      if (Date.now() > deadline)
        throw new Error(`The Docker daemon (process ${pid}) still runs after ${STOP_MS / 1000} s.`);
      await sleep(100);
    }
    // Only where the daemon was killed before it could remove the file itself.
    if (readPid(pidFile) === pid) removeStalePidFile(pidFile);
  }
  rmSync(saved);
  return found;
}

/**
 * Removes dockerd's pid file if the process in it is no running dockerd. dockerd refuses to start while a process has
 * that id, even a zombie or another program ("pid file found").
 *
 * @param {string} file
 */
export function removeStalePidFile(file) {
  const pid = readPid(file);
  if (pid === null || isDaemon(pid)) return;
  const { program, args } = asRoot('rm', ['-f', file]);
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} was not removed: ${error ?? stderr}`);
}

/** @param {string} file */
function readPid(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

/** @param {string} folder */
function locatePid(folder) {
  return join(folder, 'dockerd.pid');
}

/**
 * Whether a process is a running dockerd. Another program may have the id by now, and a process that has ended stays
 * listed as a zombie until its parent waits for it.
 *
 * @param {number} pid
 */
function isDaemon(pid) {
  try {
    // proc(5): number, name in parentheses, state.
    return /^\d+ \(dockerd\) [^ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function describeDenial() {
  const { username } = userInfo();
  return `A Docker daemon runs, but the user ${username} may not talk to it. Add the user to its group (sudo usermod -aG docker ${username}) and log in again.`;
}
