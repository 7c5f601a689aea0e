import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeMetadata } from '../../s3/metadata.ts';
import type { RolePolicies, S3 } from '../../s3/s3.ts';
import { findIdentity } from '../iam.ts';
import type { Instance, Tables, World } from '../world.ts';
import { runDocker } from './command.ts';
import { nameContainer } from './machine.ts';

/** The roles as S3 decides with them. A boundary that does not exist allows nothing. */
export function collectRoles({
  roles,
  managedPolicies,
}: Pick<Tables, 'roles' | 'managedPolicies'>): Record<string, RolePolicies> {
  const collect = ({ policies, boundary }: Tables['roles'][string]): RolePolicies => ({
    policies: Object.values(policies).map((policy) => JSON.parse(policy)),
    boundary: boundary && JSON.parse(managedPolicies[boundary] ?? '{"Statement":[]}'),
  });
  return Object.fromEntries(Object.entries(roles).map(([name, role]) => [name, collect(role)]));
}

/** Tells the metadata services of the machines and the world's S3 which instance has which role, and what it may do. */
export class Identities {
  readonly #world: World;
  readonly #options: { readonly world: string; readonly s3?: S3 };
  #roles = '';
  #current: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(world: World, options: { readonly world: string; readonly s3?: S3 }) {
    this.#world = world;
    this.#options = options;
  }

  /** Tells what has changed. Callers during a run share the next run. */
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
    const { tables } = this.#world;
    const roles = collectRoles(tables);
    const text = JSON.stringify(roles);
    if (text !== this.#roles) await this.#options.s3?.setRoles(roles);
    this.#roles = text;
    await Promise.all(Object.values(tables.instances).map((instance) => this.write(instance)));
  }

  /** Puts the metadata of a machine into its container, unless they are there; a container without a machine is passed over. */
  async write(instance: Instance): Promise<void> {
    const { world } = this.#options;
    const { hopLimit, tokens, endpoint } = instance.metadata;
    const identity = findIdentity(instance, this.#world.tables);
    const text = writeMetadata(world, {
      instance: instance.id,
      region: instance.region,
      role: identity?.role.name ?? null,
      profile: identity?.profile.arn ?? null,
      seconds: this.#world.tables.credentialSeconds,
      ...{ hopLimit, tokens, endpoint },
    });
    const folder = join(this.#world.directory, 'instances', instance.id);
    const file = join(folder, 'metadata.json');
    if (readText(file) === text) return;
    mkdirSync(folder, { recursive: true });
    const draft = `${file}.new`;
    writeFileSync(draft, text);
    const target = `${nameContainer(world, instance.id)}:/etc/lab/metadata.json`;
    // A machine that is being created gets them before it boots, one that has ended needs none.
    const isThere = await runDocker('cp', draft, target).then(
      () => true,
      () => false,
    );
    if (isThere) writeFileSync(file, text);
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
