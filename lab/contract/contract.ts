import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterSpec } from '../../src/cluster/spec.ts';
import { renderTfvars } from '../../src/terraform/generated-files.ts';
import { type Aws, startAws } from '../aws/main.ts';
import { comparePlans, listActions } from './compare.ts';
import { EXPLAINED } from './explained.ts';
import type { ApiCall } from './front.ts';
import { type Moto, startMoto } from './moto.ts';
import {
  type ProviderServer,
  type RealProvider,
  readTemplates,
  serveRealProvider,
} from './real-provider.ts';
import { type PlanOptions, Side } from './side.ts';

/** Calls of the real provider. */
export interface Recorded {
  readonly plan: ApiCall[];
  readonly deploy: ApiCall[];
}

/** What came of the same plan on both sides. */
export interface Planned {
  /** Where the plans differ without an explanation. */
  readonly differences: string[];
  /** What the lab's plan does, as `update aws_instance.node["1"]`. */
  readonly changes: string[];
}

/** A cluster to plan, the public key, and Terraform's options. */
type Wanted = [spec: ClusterSpec, key: string, options?: Partial<PlanOptions>];

/** The same cluster twice: by the real provider against moto, and by the lab's. */
export class Contract {
  /** Where the calls of the real provider are recorded. */
  recorded: Recorded = { plan: [], deploy: [] };
  readonly aws: Aws;
  readonly moto: Moto;
  readonly #folder: string;
  readonly #real: RealProvider;
  readonly #server: ProviderServer;
  #sides: { readonly real: Side; readonly lab: Side } | null = null;

  private constructor(parts: {
    folder: string;
    real: RealProvider;
    aws: Aws;
    moto: Moto;
    server: ProviderServer;
  }) {
    this.#folder = parts.folder;
    this.#real = parts.real;
    this.#server = parts.server;
    this.aws = parts.aws;
    this.moto = parts.moto;
  }

  /** Starts both worlds; `world` names them. */
  static async start(world: string, real: RealProvider): Promise<Contract> {
    const folder = mkdtempSync(join(tmpdir(), 'pgca-contract-'));
    const [aws, moto] = await Promise.all([
      startAws({ world, instances: 'none', directory: join(folder, 'world') }),
      startMoto(world),
    ]);
    const server = await serveRealProvider(real, moto.environment);
    return new Contract({ folder, real, aws, moto, server });
  }

  /** Goes on with a cluster that does not exist yet: a directory for each provider, with a state of its own. */
  async open(name: string): Promise<void> {
    this.#sides = {
      real: new Side(join(this.#folder, name, 'real'), readTemplates(this.#real), {
        TF_REATTACH_PROVIDERS: this.#server.reattach,
      }),
      lab: new Side(join(this.#folder, name, 'lab'), readTemplates({ version: '6.8.0' }), {
        TF_REATTACH_PROVIDERS: this.aws.reattach,
      }),
    };
    await this.both((side) => side.init());
  }

  /** Does the same on both sides at once. */
  async both<T>(does: (side: Side) => Promise<T>): Promise<{ real: T; lab: T }> {
    if (this.#sides === null) throw new Error('No cluster is open.');
    const running = [does(this.#sides.real), does(this.#sides.lab)] as const;
    // What fails on one side must not go on beside the next test on the other.
    await Promise.allSettled(running);
    const [real, lab] = await Promise.all(running);
    return { real, lab };
  }

  /** Plans on both sides. */
  async plan(...wanted: Wanted): Promise<Planned> {
    await this.#plan(wanted);
    return this.#compare();
  }

  /** Plans and applies on both sides. The plans are read meanwhile: an apply waits more than it works. */
  async change(...wanted: Wanted): Promise<Planned> {
    await this.#plan(wanted);
    const applied = this.#record('deploy', () => this.both((side) => side.apply()));
    const [planned] = await Promise.all([this.#compare(), applied]);
    return planned;
  }

  async stop(): Promise<void> {
    this.#server.stop();
    await this.moto.stop();
    await this.aws.destroyEverything();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #plan([spec, key, options = {}]: Wanted): Promise<void> {
    const tfvars = renderTfvars(spec, key);
    await this.#record('plan', () => this.both((side) => side.plan({ tfvars, ...options })));
  }

  async #compare(): Promise<Planned> {
    const plans = await this.both((side) => side.show());
    return { differences: comparePlans(plans, EXPLAINED), changes: listActions(plans.lab) };
  }

  async #record(kind: keyof Recorded, does: () => Promise<unknown>): Promise<void> {
    const first = this.moto.front.calls.length;
    await does();
    this.recorded[kind].push(...this.moto.front.calls.slice(first));
  }
}
