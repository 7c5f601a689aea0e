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

/** An attribute of a resource type. */
export interface Attribute {
  readonly type: string;
  readonly attribute: string;
}

/** What a provider says about one resource: each value is a sorted list of paths, or the action. */
interface Verdict {
  readonly action: string;
  readonly replace: readonly string[];
  /** Values that are known only after apply. */
  readonly unknown: readonly string[];
  /** Attributes whose known value differs, of an update. */
  readonly changed: readonly string[];
}

/**
 * Compares two plans of one change. `defects` are values that moto forgot: they alone are no update. `releases` are
 * attributes in which the compared releases differ: they are not compared. Returns
 * a line per difference, e.g. `aws_vpc.own[0] unknown: only real: arn`.
 */
export function comparePlans(
  plans: { readonly real: PlanDocument; readonly lab: PlanDocument },
  {
    defects,
    releases,
  }: { readonly defects: readonly Attribute[]; readonly releases: readonly Attribute[] },
): string[] {
  const [real, lab] = [listChanges(plans.real), listChanges(plans.lab)];
  const addresses = [...new Set([...real.keys(), ...lab.keys()])].sort();
  return addresses.flatMap((address) => {
    const pair = [real.get(address), lab.get(address)] as const;
    // An attribute that only one release of the schema has says nothing about the other.
    const common = (name: string) =>
      pair.every(
        (one) =>
          one === undefined ||
          (listNames(one).has(name) && !releases.some((each) => isOf(each, one, name))),
      );
    const [left, right] = pair.map((one) => judge(one, common, defects)) as [Verdict, Verdict];
    const differences =
      left.action === right.action ? [] : [`action: real ${left.action}, lab ${right.action}`];
    for (const kind of ['replace', 'unknown', 'changed'] as const) {
      const onlyReal = left[kind].filter((path) => !right[kind].includes(path));
      const onlyLab = right[kind].filter((path) => !left[kind].includes(path));
      if (onlyReal.length > 0) differences.push(`${kind}: only real: ${onlyReal.join(' ')}`);
      if (onlyLab.length > 0) differences.push(`${kind}: only lab: ${onlyLab.join(' ')}`);
    }
    return differences.map((difference) => `${address} ${difference}`);
  });
}

function listChanges({ resource_changes = [] }: PlanDocument): Map<string, ResourceChange> {
  const managed = resource_changes.filter(({ mode }) => mode === 'managed');
  return new Map(managed.map((one) => [one.address, one]));
}

function listNames({ change }: ResourceChange): Set<string> {
  const parts = [change.before, change.after, change.after_unknown];
  return new Set(parts.flatMap((part) => Object.keys(part ?? {})));
}

function isOf({ type, attribute }: Attribute, one: ResourceChange, name: string): boolean {
  return type === one.type && attribute === name;
}

const NOTHING: Verdict = { action: 'no-op', replace: [], unknown: [], changed: [] };

function judge(
  one: ResourceChange | undefined,
  common: (name: string) => boolean,
  defects: readonly Attribute[],
): Verdict {
  if (one === undefined) return NOTHING;
  const { actions, before, after, after_unknown = {}, replace_paths = [] } = one.change;
  const action = actions.join();
  const unknown = Object.entries(after_unknown)
    .filter(([name]) => common(name))
    .flatMap(([name, value]) => listTrue(value, name))
    .sort();
  if (action !== 'update') {
    const replace = replace_paths.map((path) => path.join('.')).sort();
    return { action, replace, unknown: action === 'no-op' ? [] : unknown, changed: [] };
  }
  const spoiled = defects.filter(({ type }) => type === one.type).map((each) => each.attribute);
  const changed = Object.keys(after ?? {}).filter(
    (name) => JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]),
  );
  const own = changed.filter((name) => common(name) && !spoiled.includes(name)).sort();
  return own.length === 0 && unknown.length === 0
    ? NOTHING
    : { action, replace: [], unknown, changed: own };
}

/** The paths below `path` at which a document of `true`, lists and objects is true. */
function listTrue(value: unknown, path: string): string[] {
  if (value === true) return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => listTrue(item, `${path}.${name}`));
}
