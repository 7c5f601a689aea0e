import { existsSync } from 'node:fs';
import type { World } from '../world.ts';
import { runAsRoot } from './command.ts';
import { JUMPS, type Member, writeFirewall } from './firewall.ts';

/** Keeps the packet filters of all running machines and endpoints in sync with the world. */
export class Firewalls {
  readonly #world: World;
  readonly #listRunning: () => Promise<{ pid: number; id: string }[]>;
  /** The rules last sent to each machine, by the process id of its system: a restarted machine has a new one. */
  readonly #applied = new Map<number, string>();
  #current: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(world: World, listRunning: () => Promise<{ pid: number; id: string }[]>) {
    this.#world = world;
    this.#listRunning = listRunning;
  }

  /** Sends every machine its changes. Callers during a run share the next run. */
  sync(): Promise<void> {
    this.#next ??= this.#current
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        this.#current = this.#run();
        return this.#current;
      });
    return this.#next;
  }

  async #run(): Promise<void> {
    const { instances, endpoints } = this.#world.tables;
    const runs = Object.values(instances).some(({ state }) => state === 'running');
    if (!runs && Object.keys(endpoints).length === 0) return;
    await Promise.all(
      (await this.#listRunning()).map(async ({ pid, id }) => {
        const member = instances[id] ?? endpoints[id];
        if (member !== undefined && pid !== 0) await this.#apply(pid, member);
      }),
    );
  }

  async #apply(pid: number, member: Member): Promise<void> {
    const rules = writeFirewall(member, this.#world.tables);
    const before = this.#applied.get(pid);
    if (before === rules) return;
    try {
      await setFilter(pid, { rules, first: before === undefined });
    } catch (error) {
      // A machine that has disappeared meanwhile needs no filter.
      if (existsSync(`/proc/${pid}`)) throw error;
    }
    this.#applied.set(pid, rules);
  }
}

async function setFilter(
  pid: number,
  { rules, first }: { rules: string; first: boolean },
): Promise<void> {
  const inside = ['--target', String(pid), '--net'];
  await runAsRoot('nsenter', [...inside, 'iptables-restore', '--noflush'], rules);
  if (!first) return;
  for (const jump of JUMPS) {
    const iptables = (verb: string) =>
      runAsRoot('nsenter', [...inside, 'iptables', '-w', '-t', 'mangle', verb, ...jump]);
    await iptables('-C').catch(() => iptables('-A'));
  }
}
