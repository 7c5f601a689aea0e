import { ensureInternet, nameInternet } from '../../registry/network.ts';
import type { Instance, Tables, World } from '../world.ts';
import { runDocker } from './command.ts';
import { findWay } from './firewall.ts';
import { nameContainer } from './machine.ts';

/** The address of a private machine in the world's internet; far above those that EC2 assigns. */
function chooseAddress({ privateIp }: Instance, prefix: string): string {
  const [third = 0, fourth = 0] = privateIp.split('.').slice(2).map(Number);
  return `${prefix}.${128 + (third % 128)}.${fourth}`;
}

const isPrivate = ({ publicIp, state }: Instance) => publicIp === null && state === 'running';

/**
 * Gives private machines behind a NAT gateway a way to the internet, and takes it away with the gateway or its route. In
 * place of an address translation each has an interface of its own there, which accepts nothing new (`writeFirewall`).
 */
export class Outbound {
  readonly #world: World;
  readonly #options: { readonly world: string; readonly prefix: string };

  constructor(world: World, options: { readonly world: string; readonly prefix: string }) {
    this.#world = world;
    this.#options = options;
  }

  /** Connects and disconnects the running machines, one after the other. */
  async sync(running: readonly { id: string }[]): Promise<void> {
    const { tables } = this.#world;
    const { world, prefix } = this.#options;
    for (const { id } of running) {
      const instance = tables.instances[id];
      if (instance === undefined || !isPrivate(instance)) continue;
      const container = nameContainer(world, id);
      const network = nameInternet(world);
      const format = `{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}`;
      // A machine may have been terminated since it was listed.
      const networks = await runDocker('inspect', '--format', format, container).catch(() => null);
      if (networks === null) continue;
      const isConnected = networks.split(' ').includes(network);
      const wanted = findWay(instance, tables) === 'nat';
      if (wanted && !isConnected) {
        await ensureInternet({ world, prefix });
        const address = chooseAddress(instance, prefix);
        await runDocker('network', 'connect', '--ip', address, network, container);
      }
      if (!wanted && isConnected) await runDocker('network', 'disconnect', network, container);
    }
  }

  /** Whether there is a machine without a public address. */
  isNeeded({ instances }: Tables): boolean {
    return Object.values(instances).some(isPrivate);
  }
}
