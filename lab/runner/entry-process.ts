import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** What to run and where its output goes. */
export interface EntryProcess {
  readonly script: string;
  readonly directory: string;
  readonly environment: Record<string, string>;
  /** Cancels the process as GitHub does. */
  readonly signal: AbortSignal | undefined;
  /** Called for every line of either stream, without its line end. */
  readonly onLine: (line: string) => void;
  /** Called with the bytes as they arrive. */
  readonly onBytes: (bytes: Buffer) => void;
}

/** How the process ended. */
export interface Ending {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly cancelled: boolean;
  readonly durationMs: number;
  /** The session that the process led; leftover processes may still be in it. */
  readonly session: number;
}

/** How long the runner waits after SIGINT, after SIGTERM, and for streams that a child keeps open. */
const patience = { interrupt: 7500, terminate: 2500, streams: 5000 } as const;

/**
 * Runs an action's script with this Node and waits for its end. On a cancel only the script's process
 * gets SIGINT, SIGTERM after 7.5 s and SIGKILL 2.5 s later; its children get
 * nothing from the runner.
 * Source: the runner's ProcessInvoker.
 */
export async function runEntry(entry: EntryProcess): Promise<Ending> {
  const started = performance.now();
  const child = spawn(process.execPath, [entry.script], {
    cwd: entry.directory,
    env: entry.environment,
    stdio: ['pipe', 'pipe', 'pipe'],
    // Its own session: a Ctrl+C in the terminal must reach the action only as a cancel.
    detached: true,
  });
  child.stdin.end();
  const flushes = [child.stdout, child.stderr].map((stream) => readLines(stream, entry));

  let end: { exitCode: number | null; signal: NodeJS.Signals | null } | undefined;
  let holdOpen: NodeJS.Timeout | undefined;
  const finished = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (exitCode, signal) => {
      end = { exitCode, signal };
      holdOpen = setTimeout(resolve, patience.streams);
    });
    child.once('close', () => resolve());
  });
  const within = (milliseconds: number): Promise<boolean> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, milliseconds, false);
    });
    return Promise.race([finished.then(() => true), late]).finally(() => clearTimeout(timer));
  };
  const cancel = async (): Promise<void> => {
    child.kill('SIGINT');
    if (await within(patience.interrupt)) return;
    child.kill('SIGTERM');
    if (await within(patience.terminate)) return;
    child.kill('SIGKILL');
  };
  let cancelling: Promise<void> | undefined;
  const onAbort = (): void => {
    cancelling = cancel();
  };
  if (entry.signal?.aborted === true) onAbort();
  else entry.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await finished;
    await cancelling;
  } finally {
    entry.signal?.removeEventListener('abort', onAbort);
    clearTimeout(holdOpen);
    // An orphan may keep the other ends open; this side must not keep the job waiting.
    child.stdout.destroy();
    child.stderr.destroy();
    for (const flush of flushes) flush();
  }
  return {
    exitCode: end?.exitCode ?? null,
    signal: end?.signal ?? null,
    cancelled: cancelling !== undefined,
    durationMs: performance.now() - started,
    session: child.pid ?? 0,
  };
}

// Lines end as for .NET's readers: with \n, \r\n or \r. Returns the last, unterminated line.
function readLines(stream: Readable, entry: EntryProcess): () => void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  stream.on('data', (bytes: Buffer) => {
    entry.onBytes(bytes);
    rest += decoder.write(bytes);
    // A \r at the very end may be the first half of \r\n.
    const held = rest.endsWith('\r') ? '\r' : '';
    const lines = rest.slice(0, rest.length - held.length).split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? '') + held;
    for (const line of lines) entry.onLine(line);
  });
  return () => {
    const last = (rest + decoder.end()).replace(/\r$/, '');
    if (last !== '') entry.onLine(last);
  };
}
