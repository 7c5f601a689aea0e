import { runDocker } from './docker.ts';

/** The label that links the lab's Docker objects to their world. */
export const worldLabel = 'postgres-cluster-lab';

/** A service container: `flags` are those of `docker run`, `publish` is the TCP port to reach from this machine. */
export type Service = {
  world: string;
  name: string;
  image: string;
  publish: number;
  flags?: string[];
  command: string[];
};

async function findRunning(service: Service): Promise<boolean> {
  const format = '{{.State.Running}} {{.Config.Image}}';
  const state = await runDocker(['container', 'inspect', '--format', format, service.name]).catch(
    () => '',
  );
  return state === `true ${service.image}`;
}

/**
 * Makes sure that a service runs from exactly that image, and returns its address on this machine, e.g.
 * `127.0.0.1:32771`. Replaces a container that is stopped or runs an older image.
 */
export async function ensureService(service: Service): Promise<string> {
  const { world, name, image, publish, flags = [], command } = service;
  if (!(await findRunning(service))) {
    await removeContainer(name);
    const labels = ['--label', `${worldLabel}=${world}`];
    const ports = ['--publish', `127.0.0.1::${publish}`];
    await runDocker([
      'run',
      '--detach',
      '--name',
      name,
      ...labels,
      ...ports,
      ...flags,
      image,
      ...command,
    ]);
  }
  return await runDocker(['port', name, `${publish}/tcp`]);
}

/** Removes a container and its anonymous volumes, if it exists. */
export async function removeContainer(name: string): Promise<void> {
  if (await runDocker(['ps', '--all', '--quiet', '--filter', `name=^/${name}$`])) {
    await runDocker(['rm', '--force', '--volumes', name]);
  }
}

/** Waits until a URL answers with success, at most 30 s; then throws with the container's last output. */
export async function awaitService(
  name: string,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    const answer = await fetch(url, { headers }).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const logs = await runDocker(['logs', '--tail', '10', name]).catch(String);
  throw new Error(`${name} does not answer at ${url} after 30 s; its log ends with:\n${logs}`);
}
