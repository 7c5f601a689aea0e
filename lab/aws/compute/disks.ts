import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Volume } from '../world.ts';
import { runAsRoot, runCommand } from './command.ts';

const GIB = 1024 ** 3;

/** Opens a device for itself, as mount(2) does, and prints what the kernel says: `free` or an error's code. */
const TRY_ALONE = `
const { constants, openSync } = require('node:fs');
try {
  openSync(process.argv[1], constants.O_RDONLY | constants.O_EXCL);
  console.log('free');
} catch (error) {
  if (error.code !== 'EBUSY') throw error;
  console.log(error.code);
}`;

/** The numbers of the loop devices that some file of the machine is behind. */
async function listLoops(): Promise<{ minor: number; file: string }[]> {
  const printed = await runAsRoot('losetup', [
    '--list',
    '--noheadings',
    '--raw',
    '--output',
    'NAME,BACK-FILE',
  ]);
  return printed
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [name = '', ...file] = line.split(' ');
      return { minor: Number(name.replace('/dev/loop', '')), file: file.join(' ') };
    });
}

/** Volumes as sparse files in a folder, and the loop devices in front of those that are attached. */
export class Disks {
  readonly #volumes: string;
  readonly #snapshots: string;

  constructor(directory: string) {
    this.#volumes = join(directory, 'volumes');
    this.#snapshots = join(directory, 'snapshots');
  }

  #locate(id: string): string {
    return join(this.#volumes, `${id}.img`);
  }

  async create({ id, size, snapshot, root }: Volume): Promise<void> {
    if (root) return;
    mkdirSync(this.#volumes, { recursive: true });
    const file = this.#locate(id);
    if (snapshot !== null)
      await runCommand('cp', ['--sparse=always', join(this.#snapshots, `${snapshot}.img`), file]);
    await runCommand('truncate', ['--size', String(size * GIB), file]);
  }

  /** Makes file and device as large as recorded. */
  async grow({ id, size, root }: Volume): Promise<void> {
    if (root) return;
    await runCommand('truncate', ['--size', String(size * GIB), this.#locate(id)]);
    const minor = await this.findMinor(id);
    if (minor !== undefined) await runAsRoot('losetup', ['--set-capacity', `/dev/loop${minor}`]);
  }

  /** Keeps a copy of the volume under the snapshot's name. */
  async copy({ id, root }: Volume, snapshot: string): Promise<void> {
    if (root) return;
    mkdirSync(this.#snapshots, { recursive: true });
    await runCommand('cp', [
      '--sparse=always',
      this.#locate(id),
      join(this.#snapshots, `${snapshot}.img`),
    ]);
  }

  async delete({ id }: Volume): Promise<void> {
    await this.disconnect(id);
    rmSync(this.#locate(id), { force: true });
  }

  /** The number of the loop device in front of the volume, if there is one. */
  async findMinor(id: string): Promise<number | undefined> {
    return (await listLoops()).find(({ file }) => file === this.#locate(id))?.minor;
  }

  /** Puts the first of the given loop devices that is free in front of the volume; gives its number. */
  async connect(id: string, minors: readonly number[]): Promise<number> {
    const loops = await listLoops();
    const present = loops.find(({ file }) => file === this.#locate(id));
    if (present !== undefined) return present.minor;
    const free = minors.find((minor) => !loops.some((loop) => loop.minor === minor));
    if (free === undefined)
      throw new Error(
        `All ${minors.length} devices that the lab keeps for this machine are taken.`,
      );
    // losetup asks the kernel for the device if it is not there yet.
    await runAsRoot('losetup', [`/dev/loop${free}`, this.#locate(id)]);
    return free;
  }

  /** Takes the loop device away, if there is one. */
  async disconnect(id: string): Promise<void> {
    const minor = await this.findMinor(id);
    if (minor !== undefined) await runAsRoot('losetup', ['--detach', `/dev/loop${minor}`]);
  }

  /** Whether something has the device to itself: a mounted file system, in whichever namespace. */
  async isBusy(minor: number): Promise<boolean> {
    const answer = await runAsRoot(process.execPath, ['-e', TRY_ALONE, `/dev/loop${minor}`]);
    return answer === 'EBUSY';
  }

  /** Takes away every loop device in front of a file of this folder. */
  async disconnectAll(): Promise<void> {
    for (const { minor, file } of await listLoops()) {
      if (file.startsWith(`${this.#volumes}/`))
        await runAsRoot('losetup', ['--detach', `/dev/loop${minor}`]);
    }
  }
}

/** Loop devices from this number on are the lab's; the ones below are everybody's. */
const FIRST_MINOR = 64;

/** Processes that serve worlds at the same time do not see what the other just promises: each has a range. */
const RANGES = 64;

/** How many volumes a machine can have: its devices are fixed when it is made. */
const PER_MACHINE = 4;

/**
 * Chooses the numbers of a machine's loop devices: not in use and not promised to another machine. `prefix` is the
 * world's, e.g. `10.99`.
 */
export async function reserveMinors(
  promised: readonly number[],
  prefix: string,
): Promise<number[]> {
  const used = new Set([...promised, ...(await listLoops()).map(({ minor }) => minor)]);
  const minors: number[] = [];
  const first = FIRST_MINOR * (1 + (Number(prefix.split('.')[1]) % RANGES));
  for (let minor = first; minors.length < PER_MACHINE; minor += 1) {
    if (!used.has(minor)) minors.push(minor);
  }
  return minors;
}
