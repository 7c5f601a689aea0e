// @ts-check
// The Docker daemon that the lab starts where none answers, and ends again. Plain JavaScript: see root.mjs.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { asRoot } from './root.mjs';

/** Where dockerd itself notes its process: with another file, a second daemon would start beside it. */
const PID_FILE = '/var/run/docker.pid';

const START_MS = 30_000;
const STOP_MS = 60_000;

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Asks the Docker daemon whether it is there: `yes`, `no`, or `denied` where this user may not talk to it.
 *
 * @returns {'yes' | 'no' | 'denied'}
 */
export function askDocker() {
  // Not `docker info`: before 23.0 it says nothing of what is denied when a format is given.
  const { status, stderr } = spawnSync('docker', ['ps', '--quiet'], { encoding: 'utf8' });
  if (status === 0) return 'yes';
  return /permission denied/i.test(stderr ?? '') ? 'denied' : 'no';
}

/**
 * Uses the Docker daemon that answers; else starts one as root and notes its process in `folder`, for stopDocker.
 *
 * @param {string} folder gets the note and the daemon's log
 * @param {(line: string) => void} say
 * @throws {Error} when this user may not talk to the daemon, or a started one does not answer within 30 s
 */
export async function startDocker(folder, say) {
  const before = askDocker();
  if (before === 'denied') throw new Error(describeDenial());
  if (before === 'yes') return;
  say('starting a Docker daemon');
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
    // Not the child's number: that is sudo's for an ordinary user.
    writeFileSync(locateNote(folder), readFileSync(PID_FILE, 'utf8'));
    if (answer === 'denied') throw new Error(describeDenial());
    return;
  }
  const what = ended ? 'ended' : `did not answer within ${START_MS / 1000} s`;
  throw new Error(`dockerd ${what}:\n${readFileSync(logFile, 'utf8').slice(-2000)}`);
}

/**
 * Ends the daemon that startDocker noted in `folder`, if it still runs, and returns when it is gone: until then its
 * pid file keeps the next one from starting.
 *
 * @param {string} folder
 * @returns {Promise<boolean>} whether there was one to end
 * @throws {Error} when it cannot be told to end, or still runs after 60 s
 */
export async function stopDocker(folder) {
  const note = locateNote(folder);
  if (!existsSync(note)) return false;
  const pid = Number(readFileSync(note, 'utf8'));
  const found = isDaemon(pid);
  if (found) {
    const { program, args } = asRoot('sh', ['-c', 'kill "$1"', 'sh', `${pid}`]);
    const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
    if (status !== 0)
      throw new Error(`The Docker daemon (process ${pid}) was not ended: ${error ?? stderr}`);
    const deadline = Date.now() + STOP_MS;
    while (isDaemon(pid)) {
      if (Date.now() > deadline)
        throw new Error(`The Docker daemon (process ${pid}) still runs after ${STOP_MS / 1000} s.`);
      await sleep(100);
    }
  }
  rmSync(note);
  return found;
}

/** @param {string} folder */
function locateNote(folder) {
  return join(folder, 'dockerd.pid');
}

/**
 * Whether a process is a living dockerd: its number may be another's by now, and one that has ended stays listed as a
 * zombie until its parent asks.
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
