import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nameImage } from './catalogue/images.ts';
import { noCompute } from './compute/compute.ts';
import { Provider } from './provider.ts';
import { loadSchemas } from './schema.ts';
import {
  decodeValue,
  encodeValue,
  type Fields,
  isFields,
  shapeFields,
  type Value,
} from './values.ts';
import { type Clock, World } from './world.ts';

/** The schemas of the provider's resources and data sources. */
export const SCHEMAS = loadSchemas();
/** A public key that EC2 accepts. */
export const KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1v1yVhVJwWbYl5rJqk1H0m2eQ8b2T1ZsTzY0bXb0aS lab';

/** The newest image of Debian 12 for an architecture. */
export const debian = (architecture: string) =>
  nameImage('us-east-1', `debian-12-${architecture}-20251006-2257`);

interface Answer {
  readonly diagnostics?: readonly { readonly summary: string; readonly detail: string }[];
  readonly new_state?: { readonly msgpack: Uint8Array };
  readonly planned_state?: { readonly msgpack: Uint8Array };
  readonly state?: { readonly msgpack: Uint8Array };
  readonly requires_replace?: readonly { readonly steps: readonly object[] }[];
}

const pack = (value: Value) => ({ msgpack: encodeValue(value) });

function unpack(value: { msgpack: Uint8Array } | undefined): Fields {
  const decoded = decodeValue(value?.msgpack);
  if (!isFields(decoded)) throw new Error('The answer holds no state.');
  return decoded;
}

function demand({ diagnostics = [] }: Answer): void {
  if (diagnostics.length > 0) throw new Error(diagnostics.map(({ summary }) => summary).join('\n'));
}

/** A new AWS without machines behind the provider, which is called as Terraform calls it. */
export class ProviderClient {
  readonly #directory = mkdtempSync(join(tmpdir(), 'pgca-aws-unit-'));
  /** A clock that only waits move. */
  #now = Date.now();
  readonly #clock: Clock = {
    now: () => this.#now,
    sleep: async (ms) => void this.pass(ms),
  };
  #world = new World(this.#directory, '10.99.0.0/16', this.#clock);
  #provider = new Provider(this.#world, noCompute);

  private constructor() {}

  /** Returns a provider that is configured for us-east-1. */
  static async open(): Promise<ProviderClient> {
    const client = new ProviderClient();
    await client.restart();
    return client;
  }

  /** Removes the recorded world. */
  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Reloads the written world, as another process would. */
  async restart(): Promise<void> {
    this.#world = new World(this.#directory, '10.99.0.0/16', this.#clock);
    this.#provider = new Provider(this.#world, noCompute);
    demand(await this.configure('us-east-1', { Cluster: 'lab' }));
  }

  /** Lets time pass. */
  pass(ms: number): void {
    this.#now += ms;
  }

  /** Everything that exists, as the lab records it. */
  get tables() {
    return this.#world.tables;
  }

  /** Calls a method of the protocol. */
  async #ask(method: string, request: object): Promise<Answer> {
    const answer = await this.#provider.methods[method]?.(request);
    if (answer === undefined) throw new Error(`no ${method}`);
    return answer as Answer;
  }

  /** Asks for a plan as Terraform does: a computed value that is not configured keeps its recorded value. */
  async plan(type: string, given: Fields, prior: Fields | null = null) {
    const block = SCHEMAS.resources[type];
    if (block === undefined) throw new Error(`no ${type}`);
    const config = shapeFields(given, block);
    const merged = Object.entries(config).map(([name, value]) => {
      const computed = block.attributes[name]?.computed && value === null;
      return [name, computed ? (prior?.[name] ?? null) : value];
    });
    const proposed_new_state = pack(Object.fromEntries(merged));
    const answer = await this.#ask('PlanResourceChange', {
      type_name: type,
      prior_state: pack(prior),
      proposed_new_state,
      config: pack(config),
    });
    const replace = (answer.requires_replace ?? []).map(({ steps }) =>
      steps.map((step) => Object.values(step)[0]).join('.'),
    );
    return { planned: unpack(answer.planned_state), replace, config };
  }

  /** Plans and applies; throws the first diagnostic's summary. Returns the new state. */
  async apply(type: string, given: Fields, prior: Fields | null = null): Promise<Fields> {
    const { state, problem } = await this.attempt(type, given, prior);
    if (problem !== '') throw new Error(problem);
    return state;
  }

  /** Plans and applies; returns the recorded state and the diagnostics' summaries, empty without any. */
  async attempt(type: string, given: Fields, prior: Fields | null = null) {
    const { planned, config } = await this.plan(type, given, prior);
    const { diagnostics = [], new_state } = await this.#ask('ApplyResourceChange', {
      type_name: type,
      prior_state: pack(prior),
      planned_state: pack(planned),
      config: pack(config),
    });
    const problem = diagnostics.map(({ summary }) => summary).join('\n');
    const recorded = decodeValue(new_state?.msgpack);
    return { state: isFields(recorded) ? recorded : {}, problem };
  }

  /** Destroys; throws the first diagnostic's summary. */
  async destroy(type: string, prior: Fields): Promise<void> {
    demand(
      await this.#ask('ApplyResourceChange', {
        type_name: type,
        prior_state: pack(prior),
        planned_state: pack(null),
        config: pack(null),
      }),
    );
  }

  /** The current state; null if the thing no longer exists. */
  async refresh(type: string, state: Fields): Promise<Value> {
    const { new_state } = await this.#ask('ReadResource', {
      type_name: type,
      current_state: pack(state),
    });
    return decodeValue(new_state?.msgpack);
  }

  /** Reads a data source; throws like `apply`. */
  async read(type: string, given: Fields): Promise<Fields> {
    const block = SCHEMAS.data_sources[type];
    if (block === undefined) throw new Error(`no ${type}`);
    const answer = await this.#ask('ReadDataSource', {
      type_name: type,
      config: pack(shapeFields(given, block)),
    });
    demand(answer);
    return unpack(answer.state);
  }

  /** Validates a configuration; returns the answer with its diagnostics. */
  validate(type: string, given: Fields): Promise<Answer> {
    const block = SCHEMAS.resources[type];
    if (block === undefined) throw new Error(`no ${type}`);
    const config = pack(shapeFields(given, block));
    return this.#ask('ValidateResourceTypeConfig', { type_name: type, config });
  }

  /** Configures the provider for a region and default tags; returns the answer with its diagnostics. */
  configure(region: string, tags: { [key: string]: string } = {}): Promise<Answer> {
    const config = shapeFields({ region, default_tags: [{ tags }] }, SCHEMAS.provider);
    return this.#ask('Configure', { config: pack(config) });
  }

  /** A VPC with one subnet, a security group and a key pair: what an instance requires. */
  async makeNetwork() {
    const vpc = await this.apply('aws_vpc', { cidr_block: '10.42.0.0/16' });
    const subnet = await this.apply('aws_subnet', {
      vpc_id: vpc.id ?? null,
      cidr_block: '10.42.0.0/24',
      availability_zone: 'us-east-1a',
      map_public_ip_on_launch: true,
    });
    const group = await this.apply('aws_security_group', { name: 'lab', vpc_id: vpc.id ?? null });
    const key = await this.apply('aws_key_pair', { key_name: 'lab', public_key: KEY });
    const launch: Fields = {
      ami: debian('amd64'),
      instance_type: 't3.small',
      subnet_id: subnet.id ?? null,
      key_name: 'lab',
      vpc_security_group_ids: [group.id ?? null],
    };
    return { vpc, subnet, group, key, launch };
  }
}
