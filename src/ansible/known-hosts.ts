import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { requirePlainFile } from '../runner/workspace.ts';

/**
 * A line that ssh wrote for a node: its instance id, plain or hashed, then type and key (sshd(8), "SSH_KNOWN_HOSTS FILE
 * FORMAT"). Markers such as `@cert-authority` and patterns are rejected: they would accept other hosts.
 */
const LINE =
  /^(?:i-[0-9a-f]{8,17}|\|1\|[A-Za-z0-9+/]+=*\|[A-Za-z0-9+/]+=*) [a-z0-9@.-]+ [A-Za-z0-9+/]+=*$/;

/** Returns the lines of a known-hosts file that can belong to a node; all others are ignored. */
export function selectKnownHosts(text: string): string {
  const lines = text.split(/\r?\n/).filter((line) => LINE.test(line));
  return lines.map((line) => `${line}\n`).join('');
}

/**
 * The host keys of the nodes, kept in the working directory. ssh works on a copy at a safe path; the keys that it adds
 * are saved.
 */
export class KnownHosts {
  readonly #lasting: string;
  readonly #copy: string;
  #saved = '';

  /**
   * @param lasting path of the file that is kept between runs
   * @param copy path of the file that ssh reads and writes
   */
  constructor({ lasting, copy }: { lasting: string; copy: string }) {
    this.#lasting = lasting;
    this.#copy = copy;
  }

  /**
   * Makes the copy.
   *
   * @throws UserError if the kept file is a link
   */
  async load(): Promise<void> {
    const exists = await requirePlainFile(this.#lasting, 'the file of known hosts');
    this.#saved = exists ? selectKnownHosts(await readFile(this.#lasting, 'utf8')) : '';
    await writeFile(this.#copy, this.#saved, { mode: 0o600 });
  }

  /** Saves the keys that ssh added. */
  async save(): Promise<void> {
    const now = selectKnownHosts(await readFile(this.#copy, 'utf8'));
    if (now === this.#saved) return;
    await mkdir(dirname(this.#lasting), { recursive: true });
    // Written beside it and renamed: an interrupted write leaves the old file.
    const beside = join(dirname(this.#lasting), '.known_hosts.new');
    await requirePlainFile(beside, 'the file of known hosts');
    await writeFile(beside, now);
    await rename(beside, this.#lasting);
    this.#saved = now;
  }
}
