import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

// The same page must give the same pixels on every machine: no subpixel rendering, no font hinting, no colour profile,
// no graphics card.
const ARGUMENTS = [
  '--headless',
  '--remote-debugging-pipe',
  '--disable-gpu',
  '--disable-lcd-text',
  '--disable-extensions',
  '--disable-background-networking',
  '--font-render-hinting=none',
  '--force-color-profile=srgb',
  '--hide-scrollbars',
  '--lang=en-US',
  '--no-first-run',
  // Containers have a /dev/shm of 64 MB.
  '--disable-dev-shm-usage',
];

const ANSWER_MS = 30_000;

/** The browser's answer to a DevTools command. */
export type Answer = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly result?: Answer;
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** A headless Chromium, controlled through the Chrome DevTools Protocol (`--remote-debugging-pipe`). */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #commands: Writable;
  readonly #answers = new Map<number, Waiting>();
  readonly #events = new Map<string, (answer: Answer) => void>();
  #last = 0;
  #rest = '';

  private constructor(child: ChildProcess, profile: string) {
    this.#child = child;
    this.#profile = profile;
    this.#commands = child.stdio[3] as Writable;
    this.#commands.on('error', (error) => this.#fail(error));
    const answers = child.stdio[4] as Readable;
    answers.setEncoding('utf8').on('data', (text: string) => this.#receive(text));
    child.once('exit', (code) => this.#fail(new Error(`Chromium ended with code ${code}.`)));
  }

  /** Starts the browser, or throws an error that names the command to install it. */
  static async open(): Promise<Browser> {
    for (const name of NAMES) {
      const profile = mkdtempSync(join(tmpdir(), 'preview-browser-'));
      const child = spawn(name, [...ARGUMENTS, ...listSandbox(), `--user-data-dir=${profile}`], {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      });
      try {
        await once(child, 'spawn');
      } catch {
        rmSync(profile, { recursive: true, force: true });
        continue;
      }
      return new Browser(child, profile);
    }
    throw new Error(
      `No browser on PATH (looked for ${NAMES.join(', ')}). On Debian: apt-get install chromium`,
    );
  }

  /** Opens `url` and returns the session for the page's commands. */
  async openPage(url: string): Promise<string> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const session = String(sessionId);
    await this.send('Page.enable', {}, session);
    const loaded = this.#listen('Page.loadEventFired', session);
    await this.send('Page.navigate', { url }, session);
    await loaded;
    return session;
  }

  /**
   * Sends a command, to a page if `session` names one, and returns the answer. Throws if the browser refuses it, does
   * not answer for 30 s, or ends.
   */
  async send(method: string, params: object = {}, session?: string): Promise<Answer> {
    this.#last += 1;
    const id = this.#last;
    const message = {
      id,
      method,
      params,
      ...(session === undefined ? {} : { sessionId: session }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#answers.set(id, { resolve, reject });
    this.#commands.write(`${JSON.stringify(message)}\0`);
    return this.#limit(promise, method);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #listen(method: string, session: string): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#events.set(`${session} ${method}`, resolve);
    return this.#limit(promise, method);
  }

  async #limit(promise: Promise<Answer>, what: string): Promise<Answer> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Error(`Chromium did not answer ${what} in ${ANSWER_MS / 1000} s.`)),
      ANSWER_MS,
    );
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(text: string): void {
    const messages = `${this.#rest}${text}`.split('\0');
    this.#rest = messages.pop() ?? '';
    for (const message of messages) this.#handle(JSON.parse(message));
  }

  #handle({ id, method, sessionId, result = {}, error }: Message): void {
    if (id === undefined) {
      this.#events.get(`${sessionId} ${method}`)?.(result);
      return;
    }
    const waiting = this.#answers.get(id);
    this.#answers.delete(id);
    if (error) waiting?.reject(new Error(`Chromium refused: ${error.message}`));
    else waiting?.resolve(result);
  }

  #fail(error: Error): void {
    for (const { reject } of this.#answers.values()) reject(error);
    this.#answers.clear();
  }
}

/** Chromium's sandbox refuses to run as root, the usual user in containers. */
function listSandbox(): string[] {
  return process.getuid?.() === 0 ? ['--no-sandbox'] : [];
}
