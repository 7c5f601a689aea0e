import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { INSTANCE_LABEL, WORLD_LABEL } from './machine.ts';

/** An event of a machine that was not requested through the API. */
export interface MachineEvent {
  readonly instance: string;
  /**
   * `reboot`: the system restarts itself. `shutdown`: it powered itself off. `start`: it runs again. `loss`: its
   * container was removed.
   */
  readonly kind: 'reboot' | 'shutdown' | 'start' | 'loss';
}

/** The exit code of a PID 1 whose system requested a restart: the kernel ends it with SIGHUP (reboot(2)). */
const REBOOTED = '129';

/** Reads one line of `docker events`; returns undefined unless it is the start or end of a machine. */
export function readEvent(line: string): MachineEvent | undefined {
  const { Action, Actor } = JSON.parse(line) as {
    Action: string;
    Actor: { Attributes: { [name: string]: string } };
  };
  const instance = Actor.Attributes[INSTANCE_LABEL];
  if (instance === undefined) return undefined;
  if (Action === 'start') return { instance, kind: 'start' };
  if (Action === 'destroy') return { instance, kind: 'loss' };
  return { instance, kind: Actor.Attributes.exitCode === REBOOTED ? 'reboot' : 'shutdown' };
}

/** Watches the world's machines until the returned function is called. */
export function watchMachines(world: string, onEvent: (event: MachineEvent) => void): () => void {
  const kinds = ['start', 'die', 'destroy'].map((kind) => `event=${kind}`);
  const filters = [`label=${WORLD_LABEL}=${world}`, 'type=container', ...kinds];
  const args = [
    'events',
    '--format',
    '{{json .}}',
    ...filters.flatMap((filter) => ['--filter', filter]),
  ];
  const child = spawn('docker', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  child.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = readEvent(line);
    if (event !== undefined) onEvent(event);
  });
  return () => child.kill();
}
