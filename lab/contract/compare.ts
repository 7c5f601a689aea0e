/** A plan as `terraform show -json` writes it, reduced to the fields used here. */
export interface PlanDocument {
  readonly resource_changes?: readonly ResourceChange[];
}

interface ResourceChange {
  readonly address: string;
  readonly mode: string;
  readonly type: string;
  readonly change: {
    readonly actions: readonly string[];
    readonly before: Fields | null;
    readonly after: Fields | null;
    readonly after_unknown?: Fields;
    readonly replace_paths?: readonly (readonly (string | number)[])[];
  };
}

type Fields = { readonly [name: string]: unknown };

/** An attribute of a resource type in which the plans may differ, and why. */
export interface Explained {
  readonly type: string;
  readonly attribute: string;
  /**
   * `moto`: moto forgot the value, so that it alone is no update. `release`: the compared releases of the provider differ,
   * so that nothing of it is compared.
   */
  readonly cause: 'moto' | 'release';
  readonly reason: string;
}

/** What a provider says about one resource: each value is a sorted list of paths, or the action. */
interface Verdict {
  readonly action: string;
  readonly replace: readonly string[];
  /** Values that are known only after apply. */
  readonly unknown: readonly string[];
  /** Attributes whose known value differs, of an update. */
  readonly changed: readonly string[];
  /** What it plans, by path: all values of a creation, the changed ones of an update. */
  readonly values: ReadonlyMap<string, unknown>;
}

/**
 * Compares two plans of one change: actions, what forces a replacement, what is known only after apply, and the planned
 * values that both know. Returns a line per difference, e.g. `aws_vpc.own[0] unknown: only real: arn`.
 */
export function comparePlans(
  plans: { readonly real: PlanDocument; readonly lab: PlanDocument },
  explained: readonly Explained[],
): string[] {
  const [real, lab] = [indexChanges(plans.real), indexChanges(plans.lab)];
  const spell = { real: nameIds(plans.real), lab: nameIds(plans.lab) };
  return unite(real.keys(), lab.keys()).flatMap((address) => {
    const pair = [real.get(address), lab.get(address)] as const;
    const own = explained.filter(({ type }) => pair.some((one) => one?.type === type));
    const list = (cause: Explained['cause']) =>
      own.filter((each) => each.cause === cause).map((each) => each.attribute);
    const releases = list('release');
    // An attribute that only one release of the schema has says nothing about the other.
    const common = (name: string) =>
      pair.every((one) => one === undefined || listNames(one).has(name)) &&
      !releases.includes(name);
    const [left, right] = pair.map((one) => judge(one, common, list('moto'))) as [Verdict, Verdict];
    const differences =
      left.action === right.action ? [] : [`action: real ${left.action}, lab ${right.action}`];
    for (const kind of ['replace', 'unknown', 'changed'] as const) {
      const onlyReal = left[kind].filter((path) => !right[kind].includes(path));
      const onlyLab = right[kind].filter((path) => !left[kind].includes(path));
      if (onlyReal.length > 0) differences.push(`${kind}: only real: ${onlyReal.join(' ')}`);
      if (onlyLab.length > 0) differences.push(`${kind}: only lab: ${onlyLab.join(' ')}`);
    }
    if (left.action === right.action) {
      const unknown = [...left.unknown, ...right.unknown];
      const isCompared = (path: string) => !unknown.some((other) => isWithin(path, other));
      for (const path of unite(left.values.keys(), right.values.keys()).filter(isCompared)) {
        const values = [
          write(left.values.get(path), spell.real),
          write(right.values.get(path), spell.lab),
        ];
        if (values[0] !== values[1]) {
          differences.push(`${path}: real ${values[0]}, lab ${values[1]}`);
        }
      }
    }
    return differences.map((difference) => `${address} ${difference}`);
  });
}

/** What a plan does, as `delete,create aws_instance.node["1"]`, sorted by address. */
export function listActions(plan: PlanDocument): string[] {
  return [...indexChanges(plan).values()]
    .map(({ address, change }) => ({ address, action: change.actions.join() }))
    .filter(({ action }) => action !== 'no-op')
    .sort((left, right) => (left.address < right.address ? -1 : 1))
    .map(({ address, action }) => `${action} ${address}`);
}

function indexChanges({ resource_changes = [] }: PlanDocument): Map<string, ResourceChange> {
  const managed = resource_changes.filter(({ mode }) => mode === 'managed');
  return new Map(managed.map((one) => [one.address, one]));
}

function listNames({ change }: ResourceChange): Set<string> {
  const parts = [change.before, change.after, change.after_unknown];
  return new Set(parts.flatMap((part) => Object.keys(part ?? {})));
}

const NOTHING: Verdict = {
  action: 'no-op',
  replace: [],
  unknown: [],
  changed: [],
  values: new Map(),
};

function judge(
  one: ResourceChange | undefined,
  common: (name: string) => boolean,
  forgotten: readonly string[],
): Verdict {
  if (one === undefined) return NOTHING;
  const { actions, before, after, after_unknown = {}, replace_paths = [] } = one.change;
  const action = actions.join();
  const unknown = Object.entries(after_unknown)
    .filter(([name]) => common(name))
    .flatMap(([name, value]) => listTrue(value, name))
    .sort();
  const creates = actions.includes('create');
  const list = (fits: (name: string) => boolean) =>
    listPlanned({ before: creates ? null : before, after }, fits);
  if (action !== 'update') {
    const replace = replace_paths.map((path) => path.join('.')).sort();
    return action === 'no-op'
      ? { ...NOTHING, replace }
      : { action, replace, unknown, changed: [], values: list(common) };
  }
  const changed = Object.keys(after ?? {}).filter(
    (name) => JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]),
  );
  const own = changed.filter((name) => common(name) && !forgotten.includes(name)).sort();
  return own.length === 0 && unknown.length === 0
    ? NOTHING
    : { action, replace: [], unknown, changed: own, values: list((name) => own.includes(name)) };
}

/** The paths below `path` at which a document of `true`, lists and objects is true. */
function listTrue(value: unknown, path: string): string[] {
  if (value === true) return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => listTrue(item, `${path}.${name}`));
}

/** Makes texts of two worlds comparable. */
type Spell = (text: string) => string;

/** Writes an id as the address of the plan's resource that has it, and any other as its kind. */
function nameIds(plan: PlanDocument): Spell {
  const addresses = new Map(
    [...indexChanges(plan).values()].map(({ address, change }) => [change.before?.id, address]),
  );
  return (text) =>
    addresses.get(text) ??
    text.replace(
      /\b([a-z]+)-[0-9a-f]{8,17}\b/g,
      (id: string, kind: string) => addresses.get(id) ?? kind,
    );
}

function write(value: unknown, spell: Spell): string {
  return JSON.stringify(typeof value === 'string' ? spell(value) : (value ?? null));
}

/** The values by path that a change sets; what it takes away is undefined. */
function listPlanned(
  { before, after }: Pick<ResourceChange['change'], 'before' | 'after'>,
  fits: (name: string) => boolean,
): Map<string, unknown> {
  const [old, now] = [before, after].map((fields) => {
    const entries = Object.entries(fields ?? {}).filter(([name]) => fits(name));
    return new Map(entries.flatMap(([name, value]) => listLeaves(value, name)));
  }) as [Map<string, unknown>, Map<string, unknown>];
  const paths = unite(old.keys(), now.keys());
  return new Map(
    paths
      .filter((path) => JSON.stringify(old.get(path)) !== JSON.stringify(now.get(path)))
      .map((path) => [path, now.get(path)]),
  );
}

/** The values below `path` that are set; an empty list is one. */
function listLeaves(value: unknown, path: string): [string, unknown][] {
  if (value === null || value === undefined) return [];
  const parts = typeof value === 'object' ? Object.entries(value) : [];
  return parts.length === 0
    ? [[path, value]]
    : parts.flatMap(([name, item]) => listLeaves(item, `${path}.${name}`));
}

function isWithin(path: string, outer: string): boolean {
  return path === outer || path.startsWith(`${outer}.`);
}

function unite(left: Iterable<string>, right: Iterable<string>): string[] {
  return [...new Set([...left, ...right])].sort();
}
