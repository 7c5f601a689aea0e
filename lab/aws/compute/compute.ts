import type { Duplex } from 'node:stream';
import type { Image } from '../catalogue/images.ts';
import type { Endpoint } from '../instance-connect/endpoint.ts';
import type { Instance, Volume, Vpc } from '../world.ts';

/**
 * The implementation of instances, volumes and security groups. The world records what exists; this makes it real.
 * Each method is idempotent and returns when the requested state is reached.
 */
export interface Compute {
  /** Makes and boots a machine. */
  launch(instance: Instance, image: Image, authorizedKeys: string[]): Promise<void>;
  /** Boots a stopped machine; its public address may have changed. */
  start(instance: Instance): Promise<void>;
  /** Cuts the power instead of shutting down. */
  stop(instance: Instance, force?: boolean): Promise<void>;
  reboot(instance: Instance): Promise<void>;
  terminate(instance: Instance): Promise<void>;
  createVolume(volume: Volume): Promise<void>;
  /** Grows the volume to its recorded size, attached or not. */
  growVolume(volume: Volume): Promise<void>;
  copyVolume(volume: Volume, snapshot: string): Promise<void>;
  deleteVolume(volume: Volume): Promise<void>;
  attach(volume: Volume, instance: Instance): Promise<void>;
  /** False if the machine has the volume mounted; it must unmount it first. */
  detach(volume: Volume, instance: Instance, force: boolean): Promise<boolean>;
  /** Closes and opens ports according to the recorded security groups and routes. */
  syncFirewalls(): Promise<void>;
  /** Gives machines the roles of their instance profiles, and S3 the roles' policies. */
  syncIdentities(): Promise<void>;
  deleteNetwork(vpc: Vpc): Promise<void>;
  /** Puts the endpoint's network interface into its VPC. */
  openEndpoint(endpoint: Endpoint): Promise<void>;
  closeEndpoint(endpoint: Endpoint): Promise<void>;
  /** Connects from the endpoint's network interface; rejects if the target cannot be reached. */
  dial(endpoint: Endpoint, address: string, port: number): Promise<Duplex>;
}

/** Starts nothing: for plans, and for applies whose machines are not inspected. */
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
  syncIdentities: async () => {},
  deleteNetwork: async () => {},
  openEndpoint: async () => {},
  closeEndpoint: async () => {},
  dial: async () => {
    throw new Error('There are no machines.');
  },
};
