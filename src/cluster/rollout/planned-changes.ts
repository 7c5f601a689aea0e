import type { DesiredCluster } from '../desired.ts';
import { libcOfImage } from '../image.ts';
import { type AppliedDatabase, compareWithApplied } from '../settings/change.ts';
import { majorOfTag, splitReference } from '../spec.ts';

/** A change of the database that Terraform's plan and state show where the nodes were not observed. */
export type PlannedChange =
  /** The state does not record what the nodes were asked to run, so its changes are not known. */
  | { readonly kind: 'unrecorded' }
  | {
      readonly kind: 'image';
      readonly before: string;
      readonly after: string;
      /** What, by the tags, prevents the new image from running on the existing data; null where nothing does. */
      readonly obstacle: 'major' | 'libc' | null;
    }
  /** How many settings change; only the server knows whether a reload is enough. */
  | { readonly kind: 'settings'; readonly count: number }
  /** How many replicas a commit waits for. */
  | { readonly kind: 'synchronous'; readonly before: number; readonly after: number }
  /** The node that is newly requested as the primary. */
  | { readonly kind: 'primary'; readonly node: string }
  /** Nodes that get a blank data volume. */
  | { readonly kind: 'clone'; readonly nodes: readonly string[] }
  /** Nodes that get another instance and keep their data volume. */
  | { readonly kind: 'replace'; readonly nodes: readonly string[] }
  | { readonly kind: 'resize'; readonly nodes: readonly string[]; readonly instanceType: string }
  | { readonly kind: 'destroy'; readonly nodes: readonly string[] };

/** What a change means for the database where the nodes could not be observed. */
export interface UnobservedPlan {
  readonly kind: 'unobserved';
  /** Why the nodes could not be observed, a sentence or several. */
  readonly notObserved: string;
  /** What ssh said, one message per node; absent if no login was tried. */
  readonly transcripts?: readonly string[];
  /** What is known nevertheless; empty: nothing changes, as far as the state shows. */
  readonly plannedChanges: readonly PlannedChange[];
}

/** What Terraform plans, by names of nodes. */
export interface PlannedNodes {
  /** Nodes that get a new instance. */
  readonly created: readonly string[];
  /** Nodes that get another instance type. */
  readonly resized: readonly string[];
  /** Nodes that get a blank data volume. */
  readonly fresh: readonly string[];
}

/**
 * Returns what is known about a change without observing the nodes; empty where the state shows no change of the database.
 * `applied`: the last applied request; null if the state does not record it.
 */
export function listPlannedChanges(
  desired: DesiredCluster,
  { applied, planned }: { applied: AppliedDatabase | null; planned: PlannedNodes },
): PlannedChange[] {
  const { fresh, resized } = planned;
  const replaced = planned.created.filter((name) => !fresh.includes(name));
  const leaving = desired.leaving.map(({ name }) => name);
  const stays = (name: string) => !leaving.includes(name);
  const named = (
    kind: 'clone' | 'replace' | 'destroy',
    nodes: readonly string[],
  ): PlannedChange[] => (nodes.length === 0 ? [] : [{ kind, nodes }]);
  return [
    ...(applied === null
      ? [{ kind: 'unrecorded' } as const]
      : listRequestedChanges(applied, desired)),
    ...named('clone', fresh.filter(stays)),
    ...named('replace', replaced.filter(stays)),
    ...(resized.length === 0 || desired.instanceType === null
      ? []
      : [{ kind: 'resize', nodes: resized, instanceType: desired.instanceType } as const]),
    ...named('destroy', leaving),
  ];
}

function listRequestedChanges(applied: AppliedDatabase, desired: DesiredCluster): PlannedChange[] {
  const { image, primary, synchronousReplicas } = desired;
  // These two are reported separately.
  const { length: count } = compareWithApplied(applied, desired).filter(
    ({ name }) => name !== 'image' && name !== 'synchronous_standby_names',
  );
  return [
    ...(applied.image === image
      ? []
      : [
          {
            kind: 'image',
            before: applied.image,
            after: image,
            obstacle: findObstacle(applied.image, image),
          } as const,
        ]),
    ...(count === 0 ? [] : [{ kind: 'settings', count } as const]),
    ...(applied.synchronousReplicas === synchronousReplicas
      ? []
      : [
          {
            kind: 'synchronous',
            before: applied.synchronousReplicas,
            after: synchronousReplicas,
          } as const,
        ]),
    ...(primary === null || primary === applied.primary
      ? []
      : [{ kind: 'primary', node: primary } as const]),
  ];
}

/** A tag may tell neither; then only the data can. */
function findObstacle(before: string, after: string): 'major' | 'libc' | null {
  const differ = <Value>(a: Value | null, b: Value | null) => a !== null && b !== null && a !== b;
  const [was, is] = [before, after].map((image) => majorOfTag(splitReference(image).tag));
  if (differ(was ?? null, is ?? null)) return 'major';
  return differ(libcOfImage(before), libcOfImage(after)) ? 'libc' : null;
}
