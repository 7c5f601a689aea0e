import { ProviderError } from './api-error.ts';
import type { Compute } from './compute/compute.ts';
import { advanceModifications } from './modification.ts';
import { type Path, planResource } from './plan.ts';
import { dataSources, resources } from './registry.ts';
import { type Context, type Problem, type Resource, readTags, text } from './resource.ts';
import { type Block, loadSchemas, toProtocolBlock } from './schema.ts';
import { checkSettings, readSettings, type Settings } from './settings.ts';
import {
  decodeValue,
  dropUnknown,
  emptyFields,
  encodeValue,
  type Fields,
  isFields,
  isZero,
  pickKnown,
  shapeFields,
  type Value,
} from './values.ts';
import type { Tags, World } from './world.ts';

interface DynamicValue {
  readonly msgpack?: Uint8Array;
}

/** The fields of the protocol's requests; each call reads its own part. */
interface Request {
  readonly type_name?: string;
  readonly id?: string;
  readonly config?: DynamicValue;
  readonly current_state?: DynamicValue;
  readonly prior_state?: DynamicValue;
  readonly proposed_new_state?: DynamicValue;
  readonly planned_state?: DynamicValue;
  readonly raw_state?: { readonly json?: Uint8Array };
}

interface Diagnostic {
  readonly severity: 1 | 2;
  readonly summary: string;
  readonly detail: string;
  readonly attribute?: { steps: object[] };
}

/** A call of the plugin protocol: request message in, response message out. */
export type Method = (request: Request) => Promise<object> | object;

const schemas = loadSchemas();

function writeValue(value: Value): DynamicValue {
  return { msgpack: encodeValue(value) };
}

function readFields(value: DynamicValue | undefined): Fields | null {
  const decoded = decodeValue(value?.msgpack);
  return isFields(decoded) ? decoded : null;
}

function writePath(path: Path): { steps: object[] } {
  return {
    steps: path.map((step) =>
      typeof step === 'number' ? { element_key_int: step } : { attribute_name: step },
    ),
  };
}

function writeProblem({ summary, detail, attribute }: Problem): Diagnostic {
  return { severity: 1, summary, detail, ...(attribute && { attribute: writePath([attribute]) }) };
}

function buildDiagnostic(error: unknown): Diagnostic {
  if (error instanceof ProviderError) return { severity: 1, summary: error.message, detail: '' };
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { severity: 1, summary: 'The lab failed, not the configuration', detail };
}

function findBlock(type: string, kind: 'resources' | 'data_sources'): Block {
  const block = schemas[kind][type];
  if (block === undefined) throw new ProviderError(`The lab has no ${type}.`);
  return block;
}

function findResource(type: string): { resource: Resource; block: Block } {
  const resource = resources[type];
  if (resource === undefined) throw new ProviderError(`The lab has no ${type}.`);
  return { resource, block: findBlock(type, 'resources') };
}

/**
 * The provider of one Terraform process. Every Terraform run starts its own connection and configures it, but a
 * reattached provider has one server for them all: the last configuration applies.
 */
export class Provider {
  readonly #world: World;
  readonly #compute: Compute;
  #settings: Settings = { region: '', defaultTags: {} };

  constructor(world: World, compute: Compute) {
    this.#world = world;
    this.#compute = compute;
  }

  /** The calls of the plugin protocol by their names. */
  get methods(): { readonly [name: string]: Method } {
    return {
      GetSchema: () => this.#getSchema(),
      PrepareProviderConfig: ({ config }) => ({ prepared_config: config }),
      ValidateResourceTypeConfig: (request) => this.#validateResource(request),
      ValidateDataSourceConfig: () => ({}),
      UpgradeResourceState: (request) => this.#upgrade(request),
      Configure: (request) => this.#configure(request),
      ReadResource: (request) => this.#read(request),
      PlanResourceChange: (request) => this.#plan(request),
      ApplyResourceChange: (request) => this.#apply(request),
      ImportResourceState: (request) => this.#import(request),
      ReadDataSource: (request) => this.#readData(request),
      Stop: () => ({}),
    };
  }

  #context(region: Value | undefined): Context {
    const context = { world: this.#world, compute: this.#compute, ...this.#settings };
    return { ...context, region: text(region) || context.region };
  }

  #getSchema(): object {
    const write = (blocks: { readonly [name: string]: Block }) =>
      Object.fromEntries(
        Object.entries(blocks).map(([name, block]) => [
          name,
          { version: 0, block: toProtocolBlock(block) },
        ]),
      );
    return {
      provider: { version: 0, block: toProtocolBlock(schemas.provider) },
      resource_schemas: write(schemas.resources),
      data_source_schemas: write(schemas.data_sources),
    };
  }

  #configure({ config }: Request): object {
    const fields = readFields(config) ?? {};
    try {
      const settings = readSettings(fields);
      checkSettings(settings, fields);
      this.#settings = settings;
      return {};
    } catch (error) {
      return { diagnostics: [buildDiagnostic(error)] };
    }
  }

  #validateResource({ type_name = '', config }: Request): object {
    const problems = findResource(type_name).resource.validate?.(readFields(config) ?? {}) ?? [];
    return { diagnostics: problems.map(writeProblem) };
  }

  #upgrade({ type_name = '', raw_state }: Request): object {
    const raw = JSON.parse(Buffer.from(raw_state?.json ?? []).toString('utf8'));
    return { upgraded_state: writeValue(shapeFields(raw, findBlock(type_name, 'resources'))) };
  }

  /** The recorded state updated from the world; null if the thing is gone. */
  #refresh(type: string, recorded: Fields, context: Context): Fields | null {
    const { resource, block } = findResource(type);
    const id = text(recorded.id);
    const current = resource.read(id, context, recorded);
    if (current === undefined) return null;
    const merged = { ...recorded, ...current };
    if ('region' in block.attributes) merged.region = context.region;
    const tagged = resource.tags?.(id, context);
    if (tagged !== undefined) Object.assign(merged, this.#showTags(tagged.tags, recorded));
    return shapeFields(merged, block);
  }

  /** A thing's tags as stored in the state: `tags` are those that do not come from the provider's default tags. */
  #showTags(all: Tags, recorded: Fields): Fields {
    const configured = isFields(recorded.tags) ? recorded.tags : {};
    const own = Object.entries(all).filter(
      ([key, value]) => key in configured || this.#settings.defaultTags[key] !== value,
    );
    const empty = own.length === 0 && isZero(recorded.tags);
    return {
      tags: empty ? (recorded.tags ?? null) : Object.fromEntries(own),
      tags_all: { ...all },
    };
  }

  async #read({ type_name = '', current_state }: Request): Promise<object> {
    const recorded = readFields(current_state);
    if (recorded === null) return { new_state: writeValue(null) };
    try {
      await advanceModifications({ world: this.#world, compute: this.#compute });
      const state = this.#refresh(type_name, recorded, this.#context(recorded.region));
      return { new_state: writeValue(state) };
    } catch (error) {
      return { new_state: current_state, diagnostics: [buildDiagnostic(error)] };
    }
  }

  #plan({ type_name = '', prior_state, proposed_new_state, config }: Request): object {
    const { resource, block } = findResource(type_name);
    const prior = readFields(prior_state);
    const proposed = readFields(proposed_new_state);
    if (proposed === null) return { planned_state: proposed_new_state };
    const configured = readFields(config) ?? emptyFields(block);
    const { planned, replace } = planResource({
      block,
      rules: resource.rules,
      prior,
      proposed,
      config: configured,
      ...this.#settings,
    });
    const change = { prior: prior ?? {}, planned, config: configured };
    const extra =
      prior === null ? [] : (resource.adjust?.(change, this.#context(prior.region)) ?? []);
    return {
      planned_state: writeValue(planned),
      requires_replace: [...replace, ...extra.map((name) => [name])].map(writePath),
      legacy_type_system: resource.rules.framework !== true,
    };
  }

  async #apply({ type_name = '', prior_state, planned_state, config }: Request): Promise<object> {
    const { resource, block } = findResource(type_name);
    const prior = readFields(prior_state);
    const planned = readFields(planned_state);
    const legacy_type_system = resource.rules.framework !== true;
    // Recorded if a step fails: nothing, the old state, or what was created so far.
    let state: Fields | null = prior;
    try {
      const context = this.#context((planned ?? prior)?.region);
      if (planned === null) {
        if (prior !== null) await resource.delete(text(prior.id), prior, context);
        state = null;
      } else if (prior === null) {
        const known = dropUnknown(planned) as Fields;
        const record = (id: string) => {
          state = shapeFields({ ...known, id }, block);
        };
        record(await resource.create(planned, context, record));
        state = this.#refresh(type_name, state ?? known, context);
      } else {
        const id = text(prior.id);
        const change = { prior, planned, config: readFields(config) ?? {} };
        const tagged = resource.tags?.(id, context);
        if (tagged !== undefined) tagged.tags = readTags(planned);
        // What the SDK records if an update fails, whatever the thing is by then.
        if (legacy_type_system) state = { ...prior, ...pickKnown(planned) };
        const renamed = await resource.update?.(id, change, context);
        state = this.#refresh(
          type_name,
          { ...(dropUnknown(planned) as Fields), id: renamed ?? id },
          context,
        );
      }
      return { new_state: writeValue(state), legacy_type_system };
    } catch (error) {
      return {
        new_state: writeValue(state),
        legacy_type_system,
        diagnostics: [buildDiagnostic(error)],
      };
    } finally {
      this.#world.save();
      await this.#compute.syncIdentities();
    }
  }

  #import({ type_name = '', id = '' }: Request): object {
    const { resource, block } = findResource(type_name);
    const start = resource.import?.(id);
    const state =
      start && this.#refresh(type_name, { ...emptyFields(block), ...start }, this.#context(null));
    if (!state) {
      const detail = `Cannot import non-existent remote object: ${type_name} ${id}, or its import is not part of the lab.`;
      return { diagnostics: [{ severity: 1, summary: 'Cannot import', detail }] };
    }
    return { imported_resources: [{ type_name, state: writeValue(state) }] };
  }

  async #readData({ type_name = '', config }: Request): Promise<object> {
    const fields = readFields(config) ?? {};
    try {
      const read = dataSources[type_name];
      if (read === undefined) throw new ProviderError(`The lab has no data source ${type_name}.`);
      const block = findBlock(type_name, 'data_sources');
      const context = this.#context(fields.region);
      const found = await read(fields, context);
      const region =
        'region' in block.attributes && type_name !== 'aws_region'
          ? { region: context.region }
          : {};
      return { state: writeValue(shapeFields({ ...fields, ...region, ...found }, block)) };
    } catch (error) {
      return { diagnostics: [buildDiagnostic(error)] };
    }
  }
}
