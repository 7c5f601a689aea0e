import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Volume } from '../world.ts';
import { runAsRoot, runCommand } from './command.ts';

const GIB = 1024 ** 3;

/** Opens a device exclusively, like mount(2), and prints the result: `free` or the kernel's error code. */
const TRY_ALONE = `
const { constants, openSync } = require('node:fs');
try {
  openSync(process.argv[1], constants.O_RDONLY | constants.O_EXCL);
  console.log('free');
} catch (error) {
  if (error.code !== 'EBUSY') throw error;
  console.log(error.code);
}`;

/** The numbers of the loop devices that are backed by a file of the machine. */
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

/** Volumes as sparse files in a folder, and the loop devices of those that are attached. */
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

  /** Grows the file and the device to the recorded size. */
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

  /** The number of the volume's loop device, if there is one. */
  async findMinor(id: string): Promise<number | undefined> {
    return (await listLoops()).find(({ file }) => file === this.#locate(id))?.minor;
  }

  /** Attaches the volume to the first free one of the given loop devices; returns its number. */
  async connect(id: string, minors: readonly number[]): Promise<number> {
    const loops = await listLoops();
    const present = loops.find(({ file }) => file === this.#locate(id));
    if (present !== undefined) return present.minor;
    const free = minors.find((minor) => !loops.some((loop) => loop.minor === minor));
    if (free === undefined)
      throw new Error(
        `All ${minors.length} devices that the lab keeps for this machine are taken.`,
      );
    // losetup asks the kernel to create the device if it does not exist yet.
    await runAsRoot('losetup', [`/dev/loop${free}`, this.#locate(id)]);
    return free;
  }

  /** Detaches the loop device, if there is one. */
  async disconnect(id: string): Promise<void> {
    const minor = await this.findMinor(id);
    if (minor !== undefined) await runAsRoot('losetup', ['--detach', `/dev/loop${minor}`]);
  }

  /** Whether something uses the device exclusively: a mounted file system, in any namespace. */
  async isBusy(minor: number): Promise<boolean> {
    const answer = await runAsRoot(process.execPath, ['-e', TRY_ALONE, `/dev/loop${minor}`]);
    return answer === 'EBUSY';
  }

  /** Detaches every loop device of a file in this folder. */
  async disconnectAll(): Promise<void> {
    for (const { minor, file } of await listLoops()) {
      if (file.startsWith(`${this.#volumes}/`))
        await runAsRoot('losetup', ['--detach', `/dev/loop${minor}`]);
    }
  }
}

/** Loop devices from this number on belong to the lab; the ones below are for everything else. */
const FIRST_MINOR = 64;

/** Processes that serve worlds at the same time do not see each other's reservations, so each has a range. */
const RANGES = 64;

/** Maximum number of volumes per machine: its devices are fixed when it is created. */
const MAX_VOLUMES = 4;

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
  for (let minor = first; minors.length < MAX_VOLUMES; minor += 1) {
    if (!used.has(minor)) minors.push(minor);
  }
  return minors;
}
