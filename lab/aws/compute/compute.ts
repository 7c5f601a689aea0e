import type { Image } from '../catalogue/images.ts';
import type { Instance, Volume, Vpc } from '../world.ts';

/**
 * What instances, volumes and security groups are made of. The world records what exists; this makes it so.
 * Each method returns when the thing is as asked, and may be called again for a thing that already is.
 */
export interface Compute {
  /** Makes and boots a machine. */
  launch(instance: Instance, image: Image, authorizedKeys: string[]): Promise<void>;
  /** Boots a stopped machine; its public address may have changed. */
  start(instance: Instance): Promise<void>;
  /** By force: its power is cut. */
  stop(instance: Instance, force?: boolean): Promise<void>;
  reboot(instance: Instance): Promise<void>;
  terminate(instance: Instance): Promise<void>;
  createVolume(volume: Volume): Promise<void>;
  /** Grows the volume to its recorded size, attached or not. */
  growVolume(volume: Volume): Promise<void>;
  copyVolume(volume: Volume, snapshot: string): Promise<void>;
  deleteVolume(volume: Volume): Promise<void>;
  attach(volume: Volume, instance: Instance): Promise<void>;
  /** False if the machine has the volume mounted, which it must give up first. */
  detach(volume: Volume, instance: Instance, force: boolean): Promise<boolean>;
  /** Closes and opens ports so that they agree with the recorded security groups and routes. */
  syncFirewalls(): Promise<void>;
  deleteNetwork(vpc: Vpc): Promise<void>;
}

/** Starts nothing: for plans, and for applies whose machines nobody looks into. */
export const noCompute: Compute = {
  launch: async () => {},
  start: async () => {},
  stop: async () => {},
  reboot: async () => {},
  terminate: async () => {},
  createVolume: async () => {},
  growVolume: async () => {},
  copyVolume: async () => {},
  deleteVolume: async () => {},
  attach: async () => {},
  detach: async () => true,
  syncFirewalls: async () => {},
  deleteNetwork: async () => {},
};
